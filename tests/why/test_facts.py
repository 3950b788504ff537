"""The page of the history, as the daemon writes it and `why` reads it."""

from __future__ import annotations

import gzip

import pytest

from pacemaker.core.history import History
from pacemaker.core.record import End, Source
from pacemaker.server.history_page import write_history
from pacemaker.why.facts import Event, HistoryFormatError, Span, parse_history
from tests.heartbeats.by_hand import heartbeat

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
    before, nimbus = Source("10.0.0.1:4000"), Source("10.0.0.9:1")
    for now_s in (100.0, 103.0):
        history.record_for(KEY, before, now_s, VALUE)
    before.end, before.ended_s = End.RESET, 104.0
    after = Source("10.0.0.1:4002")
    history.record_for(KEY, after, 113.0, VALUE)
    after.end, after.ended_s = End.FIN, 150.0
    for now_s in (120.0, 160.0):
        history.note_read(KEY, nimbus, now_s)
    history.note_delete("/workerbeats/other-1-1", nimbus, 161.0)
    history.record_for("/not/a/worker", before, 100.0, b"")
    return history


def test_page_is_read_as_it_was_written() -> None:
    """Times are those since 1970; keys that are no workers' are left out."""
    daemon = parse_history("pm1", page(eventful()))
    assert (daemon.now_s, daemon.began_s) == (AHEAD_S + 200, AHEAD_S + 50)
    assert (daemon.reader, daemon.read_s) == ("10.0.0.9:1", AHEAD_S + 160)
    assert daemon.read_gaps == (Span(AHEAD_S + 120, AHEAD_S + 160),)
    assert daemon.deletes == ((AHEAD_S + 161, "/workerbeats/other-1-1", "10.0.0.9:1"),)
    ((worker, key),) = daemon.keys.items()
    assert worker == (TOPOLOGY, "7a4e-6700")
    assert (key.first_s, key.last_s) == (AHEAD_S + 100, AHEAD_S + 113)
    assert (key.peer, key.end, key.ended_s) == ("10.0.0.1:4002", "fin", AHEAD_S + 150)
    assert (key.executors, key.uptime_s, key.is_stored) == (4, 250, True)
    assert key.read_s == AHEAD_S + 160
    assert key.events[0] == Event(
        AHEAD_S + 113, "writer", "10.0.0.1:4002", 10.0, 250, "reset"
    )
    assert [event.kind for event in key.events] == ["writer", "unchanged"]


def test_empty_history_is_a_page() -> None:
    """A daemon that has just started."""
    daemon = parse_history("pm1", page(History(1)))
    assert (daemon.keys, daemon.read_s) == ({}, None)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "the daemon is starting\n", '{"version": 1}', "null"],
)
def test_other_text_is_an_error(text: str) -> None:
    """The endpoint may be that of another program."""
    with pytest.raises(HistoryFormatError, match="no history"):
        parse_history("pm1", text)


def test_version_that_is_not_known_is_an_error() -> None:
    """It says which versions there are."""
    with pytest.raises(
        HistoryFormatError, match=r"version 2, and this program reads 1"
    ):
        parse_history("pm1", '{"version": 2}')
