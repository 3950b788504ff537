"""The log, written by a thread of its own.

Writing to the log may block, on a full pipe, a slow disk or a stopped terminal.  If an
I/O thread wrote to it, all its connections would wait too.  So records are queued, up
to a limit, and a thread that may block writes them.  Records that find the queue full
are counted, and the count is logged later.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from types import TracebackType
from typing import Final

from pacemaker.server.process.threads import start_thread
from pacemaker.words import counted

_logger: Final = logging.getLogger(__name__)

MAX_QUEUED_RECORDS: Final = 10_000
# How long the end of the program waits for the last lines to be written.
FLUSH_S: Final = 1.0


class LogWriter:
    """While entered, it calls the root logger's handlers on one thread.

    Args:
        filter_: filters each record before it is queued, on the thread that logs.
        max_records: how many records may wait.
    """

    def __init__(
        self, filter_: logging.Filter, max_records: int = MAX_QUEUED_RECORDS
    ) -> None:
        self._handlers: list[logging.Handler] = []
        # An event in the queue is set once all records before it are written.
        self._records: queue.Queue[logging.LogRecord | threading.Event | None] = (
            queue.Queue(max_records)
        )
        # Guards the count of records that found no room.
        self._lock = threading.Lock()
        self._dropped = 0
        self._queueing = _Queueing(self)
        self._queueing.addFilter(filter_)
        self._thread = threading.Thread(
            target=self._write, name="pacemaker-log", daemon=True
        )

    def take(self, record: logging.LogRecord) -> None:
        """Queue a record, or count it if the queue is full.  Any thread may call it."""
        try:
            self._records.put_nowait(record)
        except queue.Full:
            with self._lock:
                self._dropped += 1

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until all queued records are written; return whether that succeeded."""
        written = threading.Event()
        try:
            self._records.put(written, timeout=timeout_s)
        except queue.Full:
            return False
        return written.wait(timeout_s)

    def __enter__(self) -> LogWriter:
        # Start the thread first: if that fails, the original handlers log the error.
        root = logging.getLogger()
        self._handlers = root.handlers
        start_thread(self._thread)
        root.handlers = [self._queueing]
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logging.getLogger().handlers = self._handlers
        try:
            self._records.put(None, timeout=FLUSH_S)
        except queue.Full:
            # The log is blocked.  The queued lines are lost when this process ends.
            return
        self._thread.join(FLUSH_S)

    def _write(self) -> None:
        while (record := self._records.get()) is not None:
            if isinstance(record, threading.Event):
                record.set()
                continue
            self._handle(record)
            if self._dropped and self._records.empty():
                self._tell_dropped()
        # By now the root logger has its original handlers again.
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _logger.warning("lost %s of the log: no room", counted(dropped, "line"))

    def _handle(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            if record.levelno >= handler.level:
                # An error in a handler must not keep later lines from being written.
                with contextlib.suppress(Exception):
                    handler.handle(record)


class _Queueing(logging.Handler):
    """The handler that the loggers see."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.take(record)
