"""The times of the heartbeats last returned, so that an older one is noticed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from pacemaker.relay.core import limits


class AnsweredTimes:
    """The `time_secs` that was last answered for each key.

    If there are too many keys, those that have not been read for longest are forgotten.
    """

    def __init__(self, most: int = limits.MAX_REMEMBERED_KEYS) -> None:
        self._most = most
        self._times: OrderedDict[str, int] = OrderedDict()

    def __repr__(self) -> str:
        return f"<AnsweredTimes keys={len(self._times)}>"

    def __len__(self) -> int:
        return len(self._times)

    def get(self, key: str) -> int | None:
        """Return the time that was last answered for a key."""
        return self._times.get(key)

    def note(self, key: str, time_secs: int | None) -> None:
        """Note the time of an answer; None leaves the last one as it was."""
        if time_secs is None:
            return
        self._times[key] = time_secs
        self._times.move_to_end(key)
        if len(self._times) > self._most:
            self._times.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget a key, because it was deleted."""
        self._times.pop(key, None)

    def items(self) -> Iterable[tuple[str, int]]:
        """Return all keys and times, for an upgrade in place."""
        return self._times.items()
