"""What the Pacemakers remember of the workers, from their page ``/history``.

Pure.  Times are in seconds since 1970, by the clock of the daemon that noted them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_PREFIX: Final = "/workerbeats/"
_VERSION: Final = 1


class HistoryFormatError(ValueError):
    """A page is not a history that can be read."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was not as usual; see `pacemaker.core.history.Event`.

    Attributes:
        at_s: when it was noticed.
        kind: ``writer``, ``late``, ``deleted`` or ``unchanged``.
        peer: whoever wrote, deleted or read.
        duration_s: the time since the pulse before.
        uptime_s: the uptime that the heartbeat reports; None if that is unknown.
        end: how the connection of the writer before had ended: ``open`` for not.
    """

    at_s: float
    kind: str
    peer: str
    duration_s: float = 0.0
    uptime_s: int | None = None
    end: str = "open"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What one Pacemaker remembers of one worker.

    Attributes:
        daemon: the Pacemaker.
        first_s: the first heartbeat it remembers.
        last_s: the last one.
        interval_s: the usual interval.
        peer: the last connection that wrote.
        end: how that connection has ended: ``open`` for not.
        ended_s: when it ended; None if it has not.
        read_s: when Nimbus last read it; None for never.
        is_stored: whether the heartbeat is there now.
        executors: how many executors it reports; None if that is unknown.
        uptime_s: the uptime that it reports; None if that is unknown.
        events: what was not as usual, the oldest first.
    """

    daemon: str
    first_s: float
    last_s: float
    interval_s: float = 3.0
    peer: str = ""
    end: str = "open"
    ended_s: float | None = None
    read_s: float | None = None
    is_stored: bool = True
    executors: int | None = None
    uptime_s: int | None = None
    events: tuple[Event, ...] = ()

    @property
    def late_s(self) -> float:
        """After how long a heartbeat is late."""
        return 2.0 * self.interval_s


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which something did not happen.

    Attributes:
        begin_s: when it began.
        end_s: when it ended.
    """

    begin_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """How long it was."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """What one Pacemaker, or one relay, remembers.

    Attributes:
        name: the Pacemaker.
        now_s: when it was asked.
        began_s: since when it remembers.
        reader: who last read as Nimbus does; None for nobody.
        read_s: when that was; None for never.
        read_gaps: times of more than some rounds in which nobody read.
        deletes: directories that were deleted: when, which, and by whom.
        keys: by topology id and worker.
        is_relay: whether it is a relay, which has the connections of its own host's
            workers only.
    """

    name: str
    now_s: float
    began_s: float
    reader: str | None = None
    read_s: float | None = None
    read_gaps: tuple[Span, ...] = ()
    deletes: tuple[tuple[float, str, str], ...] = ()
    keys: Mapping[tuple[str, str], KeyFacts] = field(default_factory=dict)
    is_relay: bool = False


def parse_history(name: str, text: str) -> DaemonFacts:
    """Read a page of ``/history``.

    Args:
        name: the Pacemaker.
        text: the page.

    Raises:
        HistoryFormatError: it is none, or one of a version that is not known here.
    """
    try:
        page = json.loads(text)
        if page["version"] != _VERSION:
            raise HistoryFormatError(
                f"its history has version {page['version']}, and this program reads"
                f" {_VERSION}: use the same version of both"
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
        )
    except HistoryFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise HistoryFormatError(f"this is no history: {exc!r}") from exc


def _keys(
    name: str, shown: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, str], KeyFacts]]:
    for key, record in shown.items():
        topology_id, slash, worker = key.removeprefix(_PREFIX).partition("/")
        # Other keys are not workers': anybody can write what he likes.
        if key.startswith(_PREFIX) and slash and worker:
            yield (topology_id, worker), _key(name, record)


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
            Event(
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
