"""A fake pool that keeps heartbeats in a dict, for tests that need no network."""

from __future__ import annotations


class FakePool:
    """Keeps heartbeats by Storm's rules: the `HeartbeatPool` of a cluster state.

    Attributes:
        pulses: the heartbeats by path.
        is_closed: whether `close` was called.
    """

    def __init__(self) -> None:
        self.pulses: dict[str, bytes] = {}
        self.is_closed = False

    def send_pulse(self, path: str, details: bytes) -> None:
        """Store a heartbeat."""
        self.pulses[path] = details

    def get_pulse(self, path: str) -> bytes | None:
        """Return a heartbeat, or None."""
        return self.pulses.get(path)

    def list_nodes(self, path: str) -> list[str]:
        """Return the names below a path, sorted."""
        below = (key.removeprefix(f"{path}/") for key in self._below(path))
        return sorted({key.partition("/")[0] for key in below})

    def delete_path(self, path: str) -> None:
        """Delete a heartbeat and all below its path."""
        for key in [path, *self._below(path)]:
            self.pulses.pop(key, None)

    def close(self) -> None:
        """Note that the pool was closed."""
        self.is_closed = True

    def _below(self, path: str) -> list[str]:
        return [key for key in self.pulses if key.startswith(f"{path}/")]
