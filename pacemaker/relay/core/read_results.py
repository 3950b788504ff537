"""What a read returns, from the answers of several Pacemakers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

# Returns the `time_secs` of a heartbeat; None if it cannot be read.
TimeOf: TypeAlias = Callable[[bytes], "int | None"]

# A heartbeat that cannot be read is older than any other.
_UNREADABLE: Final = -(2**63)


class ReadOutcome(Enum):
    """What to do with a read."""

    HIT = "hit"
    MISS = "miss"
    HOLD = "hold"


class ReadResult(NamedTuple):
    """The meaning of the answers to one read.

    Attributes:
        outcome: what to do.
        value: the heartbeat, for a hit.
        time_secs: its time; None if it cannot be read.
    """

    outcome: ReadOutcome
    value: bytes | None = None
    time_secs: int | None = None


HOLD: Final = ReadResult(ReadOutcome.HOLD)
MISS: Final = ReadResult(ReadOutcome.MISS)


def newest_heartbeat(
    values: Iterable[bytes], time_of: TimeOf
) -> tuple[bytes, int | None]:
    """Return the heartbeat with the newest time, and its time.

    Equal bytes are decoded once, however many Pacemakers have sent them.
    """
    times = {value: time_of(value) for value in dict.fromkeys(values)}

    def rank(value: bytes) -> int:
        time_secs = times[value]
        return _UNREADABLE if time_secs is None else time_secs

    found = max(times, key=rank)
    return found, times[found]


def combine_answers(
    answers: Mapping[int, bytes | None],
    complete: AbstractSet[int],
    may_know_newer: AbstractSet[int],
    last_time_secs: int | None,
    is_patience_over: bool,
    time_of: TimeOf,
) -> ReadResult:
    """Decide what to do with a read once all awaited Pacemakers have answered.

    Args:
        answers: the answers so far, by Pacemaker; None for a miss.
        complete: the Pacemakers that are complete.
        may_know_newer: the Pacemakers that might know a newer heartbeat: the complete
            ones, and those that were until a moment ago.
        last_time_secs: the time of the heartbeat that was last answered for the key.
        is_patience_over: whether the read has waited long enough for these.
        time_of: reads the time of a heartbeat.
    """
    hits = [value for value in answers.values() if value is not None]
    if not hits:
        misses = answers.keys() & complete
        return MISS if misses else HOLD
    value, time_secs = newest_heartbeat(hits, time_of)
    is_older = (
        time_secs is not None
        and last_time_secs is not None
        and time_secs < last_time_secs
    )
    if is_older and not is_patience_over:
        have_agreed = bool(may_know_newer) and may_know_newer <= answers.keys()
        if not have_agreed:
            return HOLD
    return ReadResult(ReadOutcome.HIT, value, time_secs)


def combine_names(answers: Iterable[Iterable[str]]) -> list[str]:
    """Join the lists of several Pacemakers."""
    return list(dict.fromkeys(name for names in answers for name in names))
