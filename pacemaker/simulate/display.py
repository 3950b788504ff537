"""The run while it lasts: one line that changes on a terminal, else a line at times."""

from __future__ import annotations

import contextlib
import shutil
from typing import Final, TextIO

from pacemaker.simulate.tally import Tally

TERMINAL_EVERY_S: Final = 0.5
PLAIN_EVERY_S: Final = 10.0

_CLEAR_LINE: Final = "\r\x1b[K"


class Meter:
    """Turns a tally that grows into what happened since the last look."""

    def __init__(self, tally: Tally, began_s: float, duration_s: float) -> None:
        self._tally = tally
        self._began_s = began_s
        self._duration_s = duration_s
        self._seen_s = began_s
        self._sent_bytes = tally.sent_bytes
        self._rcvd_bytes = tally.rcvd_bytes

    def line(self, now_s: float) -> str:
        """Return the line of the time since the last one: rates, latencies, errors."""
        tally = self._tally
        span_s = max(now_s - self._seen_s, 1e-3)
        recent = tally.pulses.recent
        latencies = "/".join(
            f"{1000 * each_s:.1f}"
            for each_s in (
                recent.percentile_s(50),
                recent.percentile_s(99),
                recent.max_s,
            )
        )
        line = (
            f"{now_s - self._began_s:.0f} of {self._duration_s:.0f} s"
            f" | {recent.count / span_s:,.0f}/s"
            f" | p50/p99/max {latencies} ms"
            f" | waiting {tally.unanswered:,}"
            f" | late {tally.pulses.late + tally.reads.late:,}"
            f" | errors {tally.errors:,}"
            f" | out {(tally.sent_bytes - self._sent_bytes) / span_s / 1e6:.1f}"
            f" in {(tally.rcvd_bytes - self._rcvd_bytes) / span_s / 1e6:.1f} MB/s"
        )
        self._seen_s = now_s
        self._sent_bytes, self._rcvd_bytes = tally.sent_bytes, tally.rcvd_bytes
        tally.fold()
        return line


class Display:
    """Writes the lines.

    Args:
        stream: where to; a terminal gets a line that is written over.

    Attributes:
        every_s: how often a line is due.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self.every_s = TERMINAL_EVERY_S if self._is_terminal else PLAIN_EVERY_S

    def show(self, line: str) -> None:
        """Show a line in the place of the last."""
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            self._write(_CLEAR_LINE + line[: width - 1])
        else:
            self._write(line + "\n")

    def end(self) -> None:
        """Make room for what comes after the lines."""
        if self._is_terminal:
            self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        # A full disk must not end a run, which has keys of its own to remove.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
