"""The display during a run."""

from __future__ import annotations

import io

import pytest

from pacemaker.simulate.display import Display, Meter
from pacemaker.simulate.tally import Tally


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_line_has_what_happened_since_the_last() -> None:
    """Rates are of the time between two lines, errors of the whole run."""
    tally = Tally()
    meter = Meter(tally, 100.0, 60.0)
    tally.scheduled = 30
    for _ in range(20):
        tally.pulses.record(0.002)
    tally.losses["reset"] += 1
    tally.sent_bytes, tally.rcvd_bytes = 4_000_000, 2_000_000
    assert meter.line(102.0) == (
        "2 of 60 s | 10/s | p50/p99/max 2.0/2.0/2.0 ms | waiting 10 | late 0"
        " | errors 1 | out 2.0 in 1.0 MB/s"
    )
    assert meter.line(104.0) == (
        "4 of 60 s | 0/s | p50/p99/max 0.0/0.0/0.0 ms | waiting 10 | late 0"
        " | errors 1 | out 0.0 in 0.0 MB/s"
    )


def test_plain_stream_gets_lines() -> None:
    """No escape goes into a file or a pipe, and a line comes each 10 s."""
    stream = io.StringIO()
    display = Display(stream)
    display.show("one")
    display.show("two")
    display.end()
    assert stream.getvalue() == "one\ntwo\n"
    assert display.every_s == 10


def test_terminal_gets_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written over, never wider than the terminal, and gone at the end."""
    monkeypatch.setenv("COLUMNS", "5")
    stream = Terminal()
    display = Display(stream)
    display.show("longer than that")
    display.end()
    assert stream.getvalue() == "\r\x1b[Klong\r\x1b[K"
    assert display.every_s < 1
