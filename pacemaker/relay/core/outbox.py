"""The outbox of one Pacemaker: the pulses and deletes that it has not received yet.

**Pulses.**  Only the newest pulse of a key is worth sending, so the outbox keeps keys
and not pulses: the value is looked up when it is sent.  Each key has at most one
unanswered pulse.  If it had more, a Pacemaker that stalls and wakes up after its
connection was reset would still find old pulses in its kernel's buffer, and could
store them after newer ones that came over the next connection.

**Deletes** are sent at once, after the pulses that are already on their way and before
those that still wait: they arrived in this order.  A delete that the Pacemaker missed
is kept until it is back.

**When a Pacemaker comes back**, it gets the deletes that it missed, then the newest
pulse of every connected worker.  All of them are sent again after `REPEAT_AFTER_S`, and
so are the deletes that arrive until then, up to `MAX_KEPT_DELETES` in all: a pulse that
was delayed on another connection, such as another relay's or the lost one, may have
arrived in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from pacemaker.relay.core import limits
from pacemaker.relay.core.suspects import Suspects


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingDelete:
    """A delete.  Two deletes are never equal, even if they have the same path.

    Attributes:
        path: what is deleted.
        is_tree: whether everything below the path is deleted too.
        asked_s: when it was asked for.
    """

    path: str
    is_tree: bool
    asked_s: float


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingPulse:
    """A pulse, with the value that was the newest when it was taken from the outbox."""

    key: str
    value: bytes


OutgoingItem: TypeAlias = OutgoingDelete | OutgoingPulse
# Looks up the newest value of a key; None if there is none any more.
Newest: TypeAlias = Callable[[str], "bytes | None"]


class Outbox:
    """What one Pacemaker has not received yet.

    Args:
        newest: looks up the newest value of a key.

    Attributes:
        is_up: whether the Pacemaker is connected.
        dropped_pulses: how many pulses it will never receive, because their workers
            had gone.
        dropped_deletes: how many deletes it will never receive, because too many were
            kept or for too long.
    """

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        # Keys whose pulse may be sent, keys whose pulse is unanswered, and those of
        # them that have a newer pulse, which waits for that answer.
        self._ready: dict[str, None] = {}
        # In the order in which they were sent, which is also that of the answers.
        self._in_flight: dict[str, None] = {}
        self._newer: set[str] = set()
        self._suspects = Suspects()
        # Deletes that are to be sent (one for each path), that are unanswered, and that
        # are sent again at `_repeat_s`.
        self._unsent: dict[tuple[str, bool], OutgoingDelete] = {}
        self._unanswered: dict[OutgoingDelete, None] = {}
        self._to_repeat: dict[tuple[str, bool], OutgoingDelete] = {}
        self._repeat_s: float | None = None
        self.is_up = False
        self.dropped_pulses = 0
        self.dropped_deletes = 0

    def __repr__(self) -> str:
        return (
            f"<Outbox up={self.is_up} pulses={self.waiting_pulses}"
            f" in_flight={len(self._in_flight)} deletes={self.waiting_deletes}>"
        )

    @property
    def waiting_pulses(self) -> int:
        """How many pulses wait."""
        return len(self._ready) + len(self._newer) + len(self._suspects)

    @property
    def waiting_deletes(self) -> int:
        """How many deletes are kept; one that is repeated counts twice."""
        return len(self._unsent) + len(self._unanswered) + len(self._to_repeat)

    @property
    def next_s(self) -> float | None:
        """When `tick` has to be called; None for never."""
        times = [self._repeat_s, self._suspects.next_s if self.is_up else None]
        return min((time_s for time_s in times if time_s is not None), default=None)

    # What arrives at the relay.

    def pulse(self, key: str) -> None:
        """Queue the newest pulse of a key, instead of any older one."""
        if key in self._in_flight:
            self._newer.add(key)
        elif key not in self._suspects:
            self._ready[key] = None

    def delete(self, delete: OutgoingDelete) -> None:
        """Queue a delete.

        The pulses that it removes need not be dropped here: their keys no longer have a
        newest value.
        """
        self._queue_last(delete)
        self._drop_excess(delete.asked_s)
        if (
            self._repeat_s is not None
            and len(self._to_repeat) < limits.MAX_KEPT_DELETES
        ):
            # The Pacemaker came back a moment ago.  It may still find pulses of the
            # lost connection in its kernel's buffer, and store them after this delete.
            path = (delete.path, delete.is_tree)
            self._to_repeat.pop(path, None)
            self._to_repeat[path] = delete

    def drop(self, key: str) -> None:
        """Drop the waiting pulse of a key whose worker has gone."""
        self.dropped_pulses += (
            key in self._ready or key in self._newer or key in self._suspects
        )
        self.forget(key)

    def forget(self, key: str) -> None:
        """Forget a key that was deleted."""
        self._ready.pop(key, None)
        self._newer.discard(key)
        self._suspects.clear(key)

    # What happens to the connection.

    def came_up(self, keys: Iterable[str], now_s: float) -> None:
        """Note that the Pacemaker is connected.

        Args:
            keys: the keys of the workers that are connected to the relay.
            now_s: the time.
        """
        self.is_up = True
        self._drop_excess(now_s)
        self._to_repeat = dict(self._unsent)
        self._repeat_s = now_s + limits.REPEAT_AFTER_S
        self._suspects.tick(now_s)
        for key in keys:
            self.pulse(key)

    def went_down(self, now_s: float) -> None:
        """Note that the connection has ended; what was unanswered waits again."""
        kept = self.kept_deletes()
        self.is_up = False
        self._unsent, self._unanswered, self._to_repeat = {}, {}, {}
        self._repeat_s = None
        for delete in kept:
            self._queue_last(delete)
        in_flight, self._in_flight = self._in_flight, {}
        self._newer.clear()
        if in_flight:
            self._suspects.suspect(next(iter(in_flight)), now_s)
        for key in in_flight:
            self.pulse(key)
        self._drop_excess(now_s)

    def tick(self, keys: Iterable[str], now_s: float) -> None:
        """Queue everything once more, if the time for that has come."""
        self._suspects.tick(now_s)
        if self._repeat_s is None or now_s < self._repeat_s:
            return
        self._repeat_s = None
        # Those to repeat come first.  An unsent delete that is not among them is newer:
        # it arrived when no more could be kept for repeating.
        self._unsent = self._to_repeat | self._unsent
        self._to_repeat = {}
        for key in keys:
            self.pulse(key)

    def pop_next(self) -> OutgoingItem | None:
        """Remove and return what has to be sent next; None if nothing may be."""
        if not self.is_up:
            return None
        if self._unsent:
            delete = self._unsent.pop(next(iter(self._unsent)))
            self._unanswered[delete] = None
            return delete
        while self._ready and not self._suspects.are_urgent:
            key = next(iter(self._ready))
            del self._ready[key]
            value = self._newest(key)
            # A key without a value was deleted, or its worker has gone, since.
            if value is not None:
                self._in_flight[key] = None
                return OutgoingPulse(key, value)
        return self._pop_suspect()

    def _pop_suspect(self) -> OutgoingPulse | None:
        """Return a pulse that may be refused, if nothing would be lost with it."""
        while not self._in_flight and not self._unanswered:
            key = self._suspects.pop_due()
            if key is None:
                return None
            value = self._newest(key)
            if value is not None:
                self._in_flight[key] = None
                return OutgoingPulse(key, value)
            self._suspects.clear(key)
        return None

    def acknowledged(self, item: OutgoingItem) -> None:
        """Note that the Pacemaker has acknowledged what `pop_next` returned."""
        if isinstance(item, OutgoingDelete):
            self._unanswered.pop(item, None)
            return
        self._in_flight.pop(item.key, None)
        self._suspects.clear(item.key)
        if item.key in self._newer:
            self._newer.discard(item.key)
            self._ready[item.key] = None

    # For an upgrade in place.

    def kept_deletes(self) -> list[OutgoingDelete]:
        """Return all deletes that the Pacemaker may have missed, oldest first."""
        kept = {*self._unsent.values(), *self._unanswered, *self._to_repeat.values()}
        return sorted(kept, key=lambda delete: delete.asked_s)

    def _queue_last(self, delete: OutgoingDelete) -> None:
        # At the end, after the deletes that arrived before it.
        path = (delete.path, delete.is_tree)
        self._unsent.pop(path, None)
        self._unsent[path] = delete

    def _drop_excess(self, now_s: float) -> None:
        """Drop the oldest deletes, if there are too many or they are too old."""
        while self._unsent:
            path, delete = next(iter(self._unsent.items()))
            is_old = delete.asked_s < now_s - limits.MAX_DELETE_AGE_S
            if not is_old and len(self._unsent) <= limits.MAX_KEPT_DELETES:
                return
            del self._unsent[path]
            self.dropped_deletes += 1
