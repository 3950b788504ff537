"""A filter that keeps a flood of similar lines from filling the log.

Lines are similar if they say the same about any peer: they have the same format and,
for an error, the same reason.  The first few of each minute are written; the rest are
counted and summed up in one line.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from pacemaker.errors import PeerError
from pacemaker.texts import counted

FREE_LINES: Final = 20


class FloodFilter(logging.Filter):
    """Passes the first lines of each kind in each minute.  Any thread may log.

    Args:
        free_lines: how many lines of a kind are written each minute.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        free_lines: int = FREE_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._free_lines = free_lines
        self._clock = clock
        # Guards all below.
        self._lock = threading.Lock()
        self._began_s = clock()
        self._seen: dict[Hashable, int] = {}
        self._last: dict[Hashable, logging.LogRecord] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to emit the record now.  DEBUG records are never dropped."""
        if record.levelno < logging.INFO:
            return True
        kind = _kind_of(record)
        with self._lock:
            seen = self._seen[kind] = self._seen.get(kind, 0) + 1
            if seen <= self._free_lines:
                return True
            # Keep the record and not its text: most are replaced before `sum_up`, and
            # formatting is what makes a line expensive.
            self._last[kind] = record
            return False

    def sum_up(self) -> list[tuple[int, str]]:
        """Begin a new period; return a level and a line for each suppressed kind."""
        with self._lock:
            seen, last = self._seen, self._last
            self._seen, self._last = {}, {}
            began_s, self._began_s = self._began_s, self._clock()
        period_s = self._began_s - began_s
        return [
            (
                record.levelno,
                f"{counted(seen[kind] - self._free_lines, 'more line')} in"
                f" {period_s:.0f} s like: {record.getMessage()}",
            )
            for kind, record in last.items()
        ]


def _kind_of(record: logging.LogRecord) -> Hashable:
    """Return what a record says, apart from its peer.

    Only formats and reasons count.  They are constants of this program, so no peer can
    create an unlimited number of kinds.
    """
    args = record.args if isinstance(record.args, tuple) else ()
    reasons = tuple(arg.reason for arg in args if isinstance(arg, PeerError))
    return record.levelno, str(record.msg), reasons
