"""Which connection wrote each key last.

The newest pulse of a key is worth keeping while the connection that wrote it is open.
After that it must not be sent again: that would keep a dead worker alive.
"""

from __future__ import annotations

from collections.abc import Hashable

from pacemaker.relay.core import limits


class Writers:
    """The keys of all connections.  A connection is any hashable object."""

    def __init__(self) -> None:
        self._writers: dict[str, Hashable] = {}
        self._keys: dict[Hashable, set[str]] = {}
        # The keys that have lost their connection, with the time at which they are
        # forgotten.  Every key waits equally long, so the dict is sorted by that time.
        self._leaving: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Writers connected={len(self._writers)} leaving={len(self._leaving)}>"

    def __len__(self) -> int:
        return len(self._writers) + len(self._leaving)

    @property
    def connected(self) -> dict[str, Hashable]:
        """The keys whose connection is open, each with that connection."""
        return self._writers

    def wrote(self, key: str, writer: Hashable) -> None:
        """Note that a connection has written a key."""
        before = self._writers.get(key)
        if before is writer:
            return
        if before is not None:
            self._unlink(before, key)
        self._leaving.pop(key, None)
        self._writers[key] = writer
        self._keys.setdefault(writer, set()).add(key)

    def writer_left(self, writer: Hashable, now_s: float) -> None:
        """Note that a connection has ended."""
        for key in self._keys.pop(writer, ()):
            del self._writers[key]
            self._leaving[key] = now_s + limits.GONE_AFTER_S

    def forget(self, key: str) -> None:
        """Forget a key that was deleted."""
        writer = self._writers.pop(key, None)
        if writer is not None:
            self._unlink(writer, key)
        self._leaving.pop(key, None)

    def pop_gone(self, now_s: float) -> list[str]:
        """Remove and return the keys whose connection ended `GONE_AFTER_S` ago."""
        gone = []
        for key, until_s in self._leaving.items():
            if until_s > now_s:
                break
            gone.append(key)
        for key in gone:
            del self._leaving[key]
        return gone

    @property
    def next_s(self) -> float | None:
        """When `pop_gone` next returns anything; None for never."""
        return next(iter(self._leaving.values()), None)

    def _unlink(self, writer: Hashable, key: str) -> None:
        keys = self._keys[writer]
        keys.discard(key)
        if not keys:
            del self._keys[writer]
