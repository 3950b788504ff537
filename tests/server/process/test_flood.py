"""Tests of pacemaker.server.process.flood."""

from __future__ import annotations

import logging

import pytest

from pacemaker.errors import LimitError, MalformedError, PeerError
from pacemaker.server.process.flood import FloodFilter


class FakeClock:
    """A clock that changes only when it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now_s


def record(
    message: str, *args: object, level: int = logging.WARNING
) -> logging.LogRecord:
    """Make a record as a logger does."""
    return logging.LogRecord("pacemaker", level, "", 0, message, args, None)


def closed(peer: str, error: PeerError) -> logging.LogRecord:
    """Make the record of a connection that is closed for a reason."""
    return record("%s: closed: %s", peer, error)


def test_first_lines_of_a_kind_are_written() -> None:
    """Of equal lines, from any peers, only the first few are written."""
    flood = FloodFilter(free_lines=3, clock=FakeClock())
    lines = [
        closed(f"10.0.0.{n}:1", MalformedError("garbage", f"{n}")) for n in range(9)
    ]
    assert [flood.filter(line) for line in lines] == [True] * 3 + [False] * 6


def test_rest_is_summed_up() -> None:
    """One line says how many were dropped, for how long, and what the last one was.

    It is as grave as they were.
    """
    clock = FakeClock()
    flood = FloodFilter(free_lines=3, clock=clock)
    for number in range(9):
        flood.filter(closed(f"10.0.0.{number}:1", MalformedError("garbage")))
    clock.now_s += 60.2
    for number in range(4):
        flood.filter(record("%s: connected", f"10.0.0.{number}:1", level=logging.INFO))
    assert flood.sum_up() == [
        (logging.WARNING, "6 more lines in 60 s like: 10.0.0.8:1: closed: garbage"),
        (logging.INFO, "1 more line in 60 s like: 10.0.0.3:1: connected"),
    ]


def test_period_begins_anew() -> None:
    """After the summary, the first lines are written again; none counts twice."""
    flood = FloodFilter(free_lines=1, clock=FakeClock())
    for _ in range(2):
        assert flood.filter(record("line"))
        assert not flood.filter(record("line"))
        assert len(flood.sum_up()) == 1
        assert flood.sum_up() == []


def test_few_lines_need_no_summing_up() -> None:
    """If nothing was dropped, there is no summary."""
    flood = FloodFilter(free_lines=3, clock=FakeClock())
    for _ in range(3):
        assert flood.filter(record("line"))
    assert flood.sum_up() == []


@pytest.mark.parametrize(
    "other",
    [
        record("%s: closed: %s", "peer", MalformedError("other reason")),
        record("%s: ended: %s", "peer", MalformedError("garbage")),
        record(
            "%s: closed: %s", "peer", LimitError("garbage", "7"), level=logging.ERROR
        ),
        record("%s: closed: %s", "peer", "no error"),
        record("plain"),
    ],
    ids=logging.LogRecord.getMessage,
)
def test_other_kinds_are_not_held_back(other: logging.LogRecord) -> None:
    """A flood of one kind hides no line of another."""
    flood = FloodFilter(free_lines=1, clock=FakeClock())
    for _ in range(5):
        flood.filter(closed("peer", MalformedError("garbage")))
    assert flood.filter(other)


def test_debugging_sees_every_line() -> None:
    """Records below INFO are never dropped."""
    flood = FloodFilter(free_lines=1, clock=FakeClock())
    assert all(flood.filter(record("line", level=logging.DEBUG)) for _ in range(9))


def test_peers_cannot_make_kinds_without_end() -> None:
    """A peer's name or the detail of its error does not make a new kind."""
    flood = FloodFilter(free_lines=1, clock=FakeClock())
    for number in range(1_000):
        flood.filter(closed(f"peer:{number}", MalformedError("garbage", f"{number}")))
    assert len(flood._seen) == len(flood._last) == 1


def test_record_with_a_mapping_is_of_its_format() -> None:
    """A record whose arguments are one mapping is counted like any other."""
    flood = FloodFilter(free_lines=1, clock=FakeClock())
    lines = [record("%(peer)s", {"peer": number}) for number in range(3)]
    assert [flood.filter(line) for line in lines] == [True, False, False]
    assert flood.sum_up()[0][1].endswith("like: 2")


def test_filter_works_on_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    """A filter on a logger protects every handler."""
    logger = logging.getLogger("tests.flood")
    flood = FloodFilter(free_lines=2, clock=FakeClock())
    logger.addFilter(flood)
    try:
        for number in range(5):
            logger.warning("%s: closed: %s", number, MalformedError("garbage"))
    finally:
        logger.removeFilter(flood)
    assert caplog.messages == ["0: closed: garbage", "1: closed: garbage"]
