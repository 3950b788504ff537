"""Show progress: one changing line on a terminal, otherwise a line now and then."""

from __future__ import annotations

import contextlib
import shutil
from typing import Final, TextIO

from pacemaker.simulate.tally import Tally

TERMINAL_EVERY_S: Final = 0.5
PLAIN_EVERY_S: Final = 10.0

_CLEAR_LINE: Final = "\r\x1b[K"


class Meter:
    """Turns a growing tally into the figures since the last line."""

    def __init__(self, tally: Tally, began_s: float, duration_s: float) -> None:
        self._tally = tally
        self._began_s = began_s
        self._duration_s = duration_s
        self._seen_s = began_s
        self._sent_bytes = tally.sent_bytes
        self._rcvd_bytes = tally.rcvd_bytes

    def line(self, now_s: float) -> str:
        """Return the figures since the last line: rates, latencies, errors."""
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
    """Writes progress lines.

    Args:
        stream: the output; on a terminal each line replaces the last.

    Attributes:
        every_s: the time between two lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self.every_s = TERMINAL_EVERY_S if self._is_terminal else PLAIN_EVERY_S

    def show(self, line: str) -> None:
        """Show a line, replacing the last one on a terminal."""
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            self._write(_CLEAR_LINE + line[: width - 1])
        else:
            self._write(line + "\n")

    def end(self) -> None:
        """Clear the line on a terminal for the output that follows."""
        if self._is_terminal:
            self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        # A full disk must not end the run, which still has to remove its keys.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
