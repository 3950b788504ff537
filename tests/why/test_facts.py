"""The page of the history, written by the daemon and read by `why`."""

from __future__ import annotations

import dataclasses
import gzip
import json

import pytest

from pacemaker.core.history.history import History
from pacemaker.core.history.record import MAX_EVENTS, ConnectionEnd, PeerRecord
from pacemaker.server.history_page import write_history
from pacemaker.why.evidence import Evidence, WorkerVerdict
from pacemaker.why.facts import (
    EVENTS_KEPT,
    HistoryEvent,
    HistoryFormatError,
    Span,
    corrected_to_one_clock,
    parse_history,
)
from tests.heartbeats.by_hand import heartbeat
from tests.why import cases

TOPOLOGY = "words-1-1700000000"
KEY = f"/workerbeats/{TOPOLOGY}/7a4e-6700"
VALUE = gzip.compress(heartbeat(executors=4, time_s=1_700_000_000, uptime_s=250))
# The time since 1970 is ahead of the daemon's own clock by this.
AHEAD_S = 1_000_000.0


def page(history: History, topology: str = "", now_s: float = 200.0) -> str:
    """Return the page of a history."""
    stored = {KEY: VALUE}
    slices = write_history(history, stored.get, now_s + AHEAD_S, now_s, topology)
    return b"".join(slices).decode()


def eventful() -> History:
    """Return a history with one of everything."""
    history = History(10**6)
    history.began_s = 50.0
    before, nimbus = PeerRecord("10.0.0.1:4000"), PeerRecord("10.0.0.9:1")
    for now_s in (100.0, 103.0):
        history.note_pulse(KEY, before, now_s, VALUE)
    before.end, before.ended_s = ConnectionEnd.RESET, 104.0
    after = PeerRecord("10.0.0.1:4002")
    history.note_pulse(KEY, after, 113.0, VALUE)
    after.end, after.ended_s = ConnectionEnd.FIN, 150.0
    for now_s in (120.0, 160.0):
        history.note_read(history.records[KEY], nimbus, now_s)
    history.note_delete("/workerbeats/other-1-1", nimbus, 161.0)
    history.note_pulse("/not/a/worker", before, 100.0, b"")
    return history


def test_page_is_read_as_it_was_written() -> None:
    """Times are those since 1970; keys that are no workers' are left out."""
    daemon = parse_history("pm1", page(eventful()))
    assert (daemon.now_s, daemon.began_s) == (AHEAD_S + 200, AHEAD_S + 50)
    assert (daemon.reader, daemon.read_s) == ("10.0.0.9:1", AHEAD_S + 160)
    assert not daemon.is_full
    assert daemon.read_gaps == (Span(AHEAD_S + 120, AHEAD_S + 160),)
    assert daemon.deletes == ((AHEAD_S + 161, "/workerbeats/other-1-1", "10.0.0.9:1"),)
    ((worker, key),) = daemon.keys.items()
    assert worker == (TOPOLOGY, "7a4e-6700")
    assert (key.first_s, key.last_s) == (AHEAD_S + 100, AHEAD_S + 113)
    assert (key.peer, key.end, key.ended_s) == ("10.0.0.1:4002", "fin", AHEAD_S + 150)
    assert (key.executors, key.uptime_s, key.is_stored) == (4, 250, True)
    assert key.read_s == AHEAD_S + 160
    assert key.events[0] == HistoryEvent(
        AHEAD_S + 113, "writer", "10.0.0.1:4002", 10.0, 250, "reset"
    )
    assert [event.kind for event in key.events] == ["writer", "unchanged"]


def test_empty_history_is_a_page() -> None:
    """A daemon that has just started."""
    daemon = parse_history("pm1", page(History(1)))
    assert (daemon.keys, daemon.read_s) == ({}, None)


def test_full_history_says_so() -> None:
    """The page of an older daemon does not tell."""
    history = History(1)
    history.note_pulse(KEY, PeerRecord("10.0.0.1:4000"), 190.0, VALUE)
    shown = page(history)
    assert parse_history("pm1", shown).is_full
    older = json.dumps({**json.loads(shown), "is_full": None})
    assert not parse_history("pm1", older).is_full


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "the daemon is starting\n", '{"version": 1}', "null"],
)
def test_other_text_is_an_error(text: str) -> None:
    """The endpoint may be that of another program."""
    with pytest.raises(HistoryFormatError, match="not a history"):
        parse_history("pm1", text)


def test_version_that_is_not_known_is_an_error() -> None:
    """It says which versions there are."""
    with pytest.raises(
        HistoryFormatError, match=r"version 2, but this program reads version 1"
    ):
        parse_history("pm1", '{"version": 2}')


def test_wrong_clock_is_corrected() -> None:
    """All times are by the clock of the first one; a short delay is no difference."""
    page_of = {name: parse_history(name, page(eventful())) for name in ("a", "b", "c")}
    answered_s = page_of["a"].now_s
    first, same, other = corrected_to_one_clock(
        [
            (page_of["a"], answered_s),
            (page_of["b"], answered_s + 0.2),
            (page_of["c"], answered_s + 3_600.0),
        ]
    )
    assert (first, same) == (page_of["a"], page_of["b"])
    assert other.corrected_s == 3_600.0
    assert other.now_s == answered_s + 3_600.0
    (before,), (after,) = page_of["c"].keys.values(), other.keys.values()
    assert after.first_s - before.first_s == 3_600.0
    assert after.events[0].at_s - before.events[0].at_s == 3_600.0
    assert other.read_gaps[0].duration_s == page_of["c"].read_gaps[0].duration_s


def test_change_to_a_pacemaker_with_a_wrong_clock_is_no_gap() -> None:
    """Nor is the worker silent for as long as the clock is behind."""
    gone = cases.key(last_s=5_000.0, end="reset", ended_s=5_000.0)
    back = cases.key(first_s=1_403.0, last_s=6_399.0, daemon="pm2")
    behind = dataclasses.replace(
        cases.daemon({cases.WORKER: back}, name="pm2", read_s=6_397.0), now_s=6_400.0
    )
    daemons = corrected_to_one_clock(
        [(cases.daemon({cases.WORKER: gone}), 0.0), (behind, 0.0)]
    )
    assert cases.first(Evidence(daemons, cases.nodes())).verdict is WorkerVerdict.WELL


def test_ring_of_events_is_as_long_as_the_daemon_s() -> None:
    """`why` must know when older events are missing."""
    assert EVENTS_KEPT == MAX_EVENTS
