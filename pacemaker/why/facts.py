"""What Pacemakers and relays remember of workers, from their page ``/history``.

Pure.  Times are in seconds since 1970, by the clock of the daemon that noted them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from pacemaker.config.storm_defaults import TASK_HEARTBEAT_SECS
from pacemaker.heartbeats.keys import split_key

_VERSION: Final = 1
# How many events a Pacemaker keeps for each key (`core.history.record.MAX_EVENTS`).
EVENTS_KEPT: Final = 32
# A difference of two clocks that matters: what answers take on their way is less.
CLOCK_TOLERANCE_S: Final = 1.0


class WorkerId(NamedTuple):
    """Which worker.

    Attributes:
        topology_id: the id of its topology.
        name: its name in that topology, as in the key of its heartbeat.
    """

    topology_id: str
    name: str


class HistoryFormatError(ValueError):
    """A page is not a history, or one of a version that cannot be read."""


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """An unusual event; see `core.history.record.KeyEvent`.

    Attributes:
        at_s: when it was noticed.
        kind: ``writer``, ``late``, ``deleted`` or ``unchanged``.
        peer: whoever wrote, deleted or read.
        duration_s: the time since the previous pulse.
        uptime_s: the uptime that the heartbeat reports; None if that is unknown.
        end: how the connection of the previous writer had ended; ``open`` if it had
            not.
    """

    at_s: float
    kind: str
    peer: str
    duration_s: float = 0.0
    uptime_s: int | None = None
    end: str = "open"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What one Pacemaker, or one relay, remembers of one worker.

    Attributes:
        daemon: the Pacemaker.
        first_s: the first heartbeat it remembers.
        last_s: the last one.
        interval_s: the usual interval.
        peer: the last connection that wrote.
        end: how that connection ended; ``open`` if it has not.
        ended_s: when it ended; None if it has not.
        read_s: when Nimbus last read it; None if never.
        is_stored: whether its heartbeat is stored now.
        executors: how many executors the stored heartbeat has; None if unknown.
        uptime_s: the uptime in the stored heartbeat; None if unknown.
        events: the unusual events that it keeps, the oldest first.
    """

    daemon: str
    first_s: float
    last_s: float
    interval_s: float = TASK_HEARTBEAT_SECS
    peer: str = ""
    end: str = "open"
    ended_s: float | None = None
    read_s: float | None = None
    is_stored: bool = True
    executors: int | None = None
    uptime_s: int | None = None
    events: tuple[HistoryEvent, ...] = ()

    @property
    def late_s(self) -> float:
        """The age from which on a heartbeat is late."""
        return 2.0 * self.interval_s


@dataclass(frozen=True, slots=True)
class Span:
    """A time with a beginning and an end.

    Attributes:
        begin_s: when it began.
        end_s: when it ended.
    """

    begin_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """What one Pacemaker, or one relay, remembers.

    Attributes:
        name: the Pacemaker.
        now_s: when it was asked.
        began_s: since when it remembers.
        reader: who last read as Nimbus does; None if nobody did.
        read_s: when that was; None if never.
        read_gaps: times longer than 30 s in which nobody read.
        deletes: directories that were deleted: when, which, and by whom.
        keys: what it remembers of each worker.
        is_relay: whether it is a relay, which sees only the workers of its own host.
        corrected_s: what was added to its times, because its clock was wrong.
        is_full: whether it may not remember a worker that writes, for lack of room.
    """

    name: str
    now_s: float
    began_s: float
    reader: str | None = None
    read_s: float | None = None
    read_gaps: tuple[Span, ...] = ()
    deletes: tuple[tuple[float, str, str], ...] = ()
    keys: Mapping[WorkerId, KeyFacts] = field(default_factory=dict)
    is_relay: bool = False
    corrected_s: float = 0.0
    is_full: bool = False


def corrected_to_one_clock(
    answers: Sequence[tuple[DaemonFacts, float]],
) -> list[DaemonFacts]:
    """Return what Pacemakers remember, in the time of the first one's clock.

    Times of different Pacemakers are compared, and a clock that is an hour off would
    turn a change of Pacemakers into an hour of silence.

    Args:
        answers: what each remembers, and when it answered, by our own clock.
    """
    ahead_s = [daemon.now_s - answered_s for daemon, answered_s in answers]
    return [
        daemon
        if abs(ahead_s[0] - own_s) < CLOCK_TOLERANCE_S
        else _shifted(daemon, ahead_s[0] - own_s)
        for (daemon, _), own_s in zip(answers, ahead_s, strict=True)
    ]


def _shifted(daemon: DaemonFacts, by_s: float) -> DaemonFacts:
    """Return what a Pacemaker remembers, with all times moved."""

    def known(at_s: float | None) -> float | None:
        return None if at_s is None else at_s + by_s

    return replace(
        daemon,
        now_s=daemon.now_s + by_s,
        began_s=daemon.began_s + by_s,
        read_s=known(daemon.read_s),
        read_gaps=tuple(
            Span(gap.begin_s + by_s, gap.end_s + by_s) for gap in daemon.read_gaps
        ),
        deletes=tuple((at_s + by_s, path, who) for at_s, path, who in daemon.deletes),
        keys={
            worker: replace(
                facts,
                first_s=facts.first_s + by_s,
                last_s=facts.last_s + by_s,
                ended_s=known(facts.ended_s),
                read_s=known(facts.read_s),
                events=tuple(
                    replace(event, at_s=event.at_s + by_s) for event in facts.events
                ),
            )
            for worker, facts in daemon.keys.items()
        },
        corrected_s=by_s,
    )


def parse_history(name: str, text: str) -> DaemonFacts:
    """Read a page of ``/history``.

    Args:
        name: the Pacemaker.
        text: the page.

    Raises:
        HistoryFormatError: it is not a history, or has another version.
    """
    try:
        page = json.loads(text)
        if page["version"] != _VERSION:
            raise HistoryFormatError(
                f"its history has version {page['version']}, but this program reads"
                f" version {_VERSION}: run the command of the daemon's release"
            )
        return DaemonFacts(
            name=name,
            now_s=float(page["now"]),
            began_s=float(page["began"] or page["now"]),
            reader=page["reader"],
            read_s=page["read"],
            read_gaps=tuple(
                Span(each["from"], each["to"]) for each in page.get("read_gaps", ())
            ),
            deletes=tuple(
                (each["at"], each["path"], each["peer"]) for each in page["deletes"]
            ),
            keys=dict(_keys(name, page["keys"])),
            is_relay=bool(page.get("is_relay")),
            is_full=bool(page.get("is_full")),
        )
    except HistoryFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise HistoryFormatError(
            f"its answer is not a history ({exc!r}): name the endpoint of a Pacemaker"
        ) from exc


def _keys(name: str, shown: Mapping[str, Any]) -> Iterator[tuple[WorkerId, KeyFacts]]:
    for key, record in shown.items():
        parts = split_key(key)
        if parts is not None:
            yield WorkerId(*parts), _key(name, record)


def _key(name: str, record: Mapping[str, Any]) -> KeyFacts:
    source = record["source"]
    return KeyFacts(
        daemon=name,
        first_s=float(record["first"]),
        last_s=float(record["last"]),
        interval_s=float(record["interval"]),
        peer=source["peer"],
        end=source["end"],
        ended_s=source["ended"],
        read_s=record["read"],
        is_stored=record["stored"] is not None,
        executors=record.get("executors"),
        uptime_s=record.get("uptime_secs"),
        events=tuple(
            HistoryEvent(
                each["at"],
                each["kind"],
                each["peer"],
                each["duration"],
                each["uptime"],
                each["end"],
            )
            for each in record["events"]
        ),
    )
