"""The log, written by a thread of its own.

Writing to the log may block, on a full pipe, a slow disk or a stopped terminal.  If an
I/O thread wrote to it, all its connections would wait too.  So the standard library's
`QueueHandler` queues the records, and its `QueueListener` writes them on a thread that
may block.  This module adds what they lack if the log is blocked:

- The queue has a limit.  Records that find it full are counted, and the count is logged
  once there is room again.
- `flush` returns whether everything was written, and gives up after a time.
- The end of the program does not wait for a blocked log.  `QueueListener.stop` would.
- A handler that raises loses only one line.  `QueueListener` would end its thread.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from logging.handlers import QueueHandler, QueueListener
from types import TracebackType
from typing import Final, TypeAlias

from pacemaker.server.process.threads import as_thread_error
from pacemaker.texts import counted

_logger: Final = logging.getLogger(__name__)

MAX_QUEUED_RECORDS: Final = 10_000
# How long the end of the program waits for the last lines to be written.
FLUSH_S: Final = 1.0

# An event is set once all records before it are written.  None ends the thread.
_Queued: TypeAlias = "logging.LogRecord | threading.Event | None"

_TOO_SLOW: Final = "lost %s: the log could not be written fast enough"


class LogWriter(QueueListener):
    """While entered, it calls the root logger's handlers on one thread.

    Args:
        filter_: filters each record before it is queued, on the thread that logs.
        max_records: how many records may wait.
    """

    def __init__(
        self, filter_: logging.Filter, max_records: int = MAX_QUEUED_RECORDS
    ) -> None:
        self._records: queue.Queue[_Queued] = queue.Queue(max_records)
        super().__init__(self._records)
        self._queueing = _Queueing(self._records)
        self._queueing.addFilter(filter_)

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until all queued records are written; return whether that succeeded."""
        written = threading.Event()
        try:
            self._records.put(written, timeout=timeout_s)
        except queue.Full:
            return False
        return written.wait(timeout_s)

    def __enter__(self) -> LogWriter:
        root = logging.getLogger()
        self.handlers = tuple(root.handlers)
        # Start the thread first: if that fails, the original handlers log the error.
        with as_thread_error("the thread that writes the log"):
            self.start()
        root.handlers = [self._queueing]
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logging.getLogger().handlers = list(self.handlers)
        # If the log is blocked, the queued lines are lost when this process ends.
        if self.flush(FLUSH_S):
            self.stop()

    def handle(self, record: logging.LogRecord | threading.Event) -> None:
        """Write a record, or set an event.  Called by the listener's thread alone."""
        if isinstance(record, threading.Event):
            self._log_dropped()
            record.set()
            return
        self._write(record)
        # Only once the queue is empty: during a flood, each line would cause another.
        if self._records.empty():
            self._log_dropped()

    def _log_dropped(self) -> None:
        dropped = self._queueing.take_dropped()
        if dropped and _logger.isEnabledFor(logging.WARNING):
            # Write it here, because the queue may be full again.
            self._write(_warning(_TOO_SLOW, counted(dropped, "log line")))

    def _write(self, record: logging.LogRecord) -> None:
        for handler in self.handlers:
            if record.levelno >= handler.level:
                with contextlib.suppress(Exception):
                    handler.handle(record)


def _warning(message: str, *args: object) -> logging.LogRecord:
    place = (__file__, 0)
    return _logger.makeRecord(
        _logger.name, logging.WARNING, *place, message, args, None
    )


class _Queueing(QueueHandler):
    """The handler that the loggers see.  Any thread may call it.

    Args:
        records: the queue to put the records into.
    """

    def __init__(self, records: queue.Queue[_Queued]) -> None:
        super().__init__(records)
        # Guards the count of records that found no room.
        self._count_lock = threading.Lock()
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record unchanged, because it stays in this process.

        The base class would format it for another process, on the thread that logs, and
        remove the traceback that the writing handlers need.
        """
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record, or count it if the queue is full."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            with self._count_lock:
                self._dropped += 1

    def take_dropped(self) -> int:
        """Return how many records found the queue full since the last call."""
        with self._count_lock:
            dropped, self._dropped = self._dropped, 0
        return dropped
