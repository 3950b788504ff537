"""The page ``/history``: who wrote and read each heartbeat, and unusual events.

Its JSON is an interface: `storm-pacemaker-py why` reads it, and may be newer or older
than the daemon.  A reader must ignore unknown fields, and `version` changes if a field
changes its meaning.  All times are in seconds since 1970.

In the head, `is_full` says that there may be keys that are written and do not appear,
because the history has had no room for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from pacemaker.core.history.history import History
from pacemaker.core.history.record import (
    NO_PEER,
    KeyEvent,
    KeyRecord,
    PeerRecord,
)
from pacemaker.heartbeats.keys import ROOT
from pacemaker.heartbeats.peek import peek

VERSION: Final = 1
# A key takes 8 to 12 us, and a look at its heartbeat 11 us, so a slice takes a tenth of
# a millisecond.
_KEYS_IN_SLICE: Final = 4

Get = Callable[[str], "bytes | None"]


def write_history(
    history: History,
    get: Get,
    now_s: float,
    monotonic_s: float,
    topology: str,
    is_relay: bool = False,
) -> Iterator[bytes]:
    """Yield the page in slices.

    Args:
        history: the history.
        get: returns the stored value of a key.
        now_s: the time in seconds since 1970.
        monotonic_s: the same moment by the clock of the history.
        topology: the id of the only topology to show, or its name; "" for all.
        is_relay: whether the daemon is a relay.
    """
    writer = _Writer(now_s - monotonic_s)
    head = {"is_relay": is_relay, **writer.head(history, now_s)}
    yield (json.dumps(head)[:-1] + ', "keys": {').encode()
    comma = ""
    keys = list(history.records)
    for at in range(0, len(keys), _KEYS_IN_SLICE):
        lines = []
        for key in keys[at : at + _KEYS_IN_SLICE]:
            record = history.records.get(key)
            if record is not None and belongs_to_topology(key, topology):
                shown = json.dumps(writer.record(record, get(key)))
                lines.append(f"{comma}{json.dumps(key)}: {shown}")
                comma = ",\n"
        yield "".join(lines).encode()
    yield b"}}\n"


def belongs_to_topology(key: str, topology: str) -> bool:
    """Return whether a key belongs to a topology, given by its id or its name."""
    if not topology:
        return True
    topology_id = key.removeprefix(f"{ROOT}/").partition("/")[0]
    # The id is the name, a number and the time of submission.
    return topology in (topology_id, topology_id.rsplit("-", 2)[0])


class _Writer:
    """Turns records into what JSON can hold.

    Args:
        ahead_s: by how much the time since 1970 is ahead of the history's clock.
    """

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def head(self, history: History, now_s: float) -> dict[str, Any]:
        return {
            "version": VERSION,
            "now": round(now_s, 3),
            "began": self._time(history.began_s),
            "is_full": history.is_full(now_s - self._ahead_s),
            "reader": history.reader.peer or None,
            "read": self._time(history.read_s),
            "read_gaps": [
                {"from": self._time(from_s), "to": self._time(to_s)}
                for from_s, to_s in list(history.read_gaps)
            ],
            "deletes": [
                {
                    "at": self._time(each.at_s),
                    "path": each.path,
                    "peer": each.peer,
                }
                for each in list(history.deletes)
            ],
        }

    def record(self, record: KeyRecord, value: bytes | None) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "first": self._time(record.first_s),
            "last": self._time(record.last_s),
            "interval": round(record.interval_s, 3),
            "longest_gap": round(record.longest_gap_s, 3),
            "source": self._source(record.writer),
            "read": self._time(record.read_s),
            "reader": None if record.reader is NO_PEER else record.reader.peer,
            "is_unchanged": record.is_unchanged,
            "stored": None if value is None else len(value),
            "events": [self._event(each) for each in record.list_events()],
        }
        seen = None if value is None else peek(value)
        if seen is not None:
            shown["executors"] = seen.executors
            shown["time_secs"] = seen.time_s
            shown["uptime_secs"] = seen.uptime_s
        return shown

    def _source(self, writer: PeerRecord) -> dict[str, Any]:
        return {
            "peer": writer.peer,
            "end": writer.end.name.lower(),
            "ended": self._time(writer.ended_s),
        }

    def _event(self, event: KeyEvent) -> dict[str, Any]:
        return {
            "at": self._time(event.at_s),
            "kind": event.kind.name.lower(),
            "peer": event.peer,
            "duration": round(event.duration_s, 3),
            "uptime": event.uptime_s,
            "end": event.end.name.lower(),
        }

    def _time(self, at_s: float) -> float | None:
        return round(at_s + self._ahead_s, 3) if at_s else None
