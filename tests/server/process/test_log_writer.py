"""The log's own thread, with handlers that block when the test says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from pacemaker.errors import StartError
from pacemaker.server.process import log_writer
from pacemaker.server.process.log_writer import LogWriter

GIVE_UP_S = 10.0
logger = logging.getLogger("pacemaker.tests")


class Recorder(logging.Handler):
    """Keeps its records; waits before each one until it may continue."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = threading.Event()
        self.is_writing = threading.Event()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Wait, then keep the record's text."""
        self.is_writing.set()
        assert self.may_write.wait(GIVE_UP_S)
        self.messages.append(record.getMessage())


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Make the root logger write to one recorder only."""
    root = logging.getLogger()
    before = root.handlers
    recorder = Recorder()
    root.handlers = [recorder]
    yield recorder
    root.handlers = before


class PassAll(logging.Filter):
    """Lets every record through."""


def test_records_are_written_in_order_and_before_the_end(recorder: Recorder) -> None:
    """When the writer is left, everything has been written, in order."""
    recorder.may_write.set()
    handlers = logging.getLogger().handlers
    with LogWriter(PassAll()):
        assert logging.getLogger().handlers != handlers
        for number in range(100):
            logger.warning("line %d", number)
    assert recorder.messages == [f"line {number}" for number in range(100)]
    assert logging.getLogger().handlers == handlers


def test_flush_waits_for_all_that_was_logged_before_it(recorder: Recorder) -> None:
    """After a flush every earlier line is written, and the writer continues."""
    recorder.may_write.set()
    with LogWriter(PassAll()) as writer:
        for number in range(100):
            logger.warning("line %d", number)
        assert writer.flush(GIVE_UP_S)
        assert len(recorder.messages) == 100
        logger.warning("behind it")
    assert recorder.messages[100:] == ["behind it"]


def test_flush_gives_up_on_a_log_that_stands_still(recorder: Recorder) -> None:
    """A flush gives up, whether the queue has room for its marker or not."""
    with LogWriter(PassAll(), max_records=2) as writer:
        logger.warning("first")
        assert recorder.is_writing.wait(GIVE_UP_S)
        assert not writer.flush(0.01)
        logger.warning("second")
        assert not writer.flush(0.01)
        recorder.may_write.set()
    assert recorder.messages == ["first", "second"]


def test_log_that_stands_still_holds_up_nobody(recorder: Recorder) -> None:
    """Threads that log do not wait for a blocked log; lost lines are counted."""
    with LogWriter(PassAll(), max_records=10):
        logger.warning("first")
        assert recorder.is_writing.wait(GIVE_UP_S)
        for number in range(100):
            logger.warning("line %d", number)
        recorder.may_write.set()
    assert recorder.messages[:11] == ["first", *(f"line {n}" for n in range(10))]
    assert (
        "lost 90 log lines: the log could not be written fast enough"
        in recorder.messages
    )


def test_lines_lost_before_a_flush_are_counted_by_it(recorder: Recorder) -> None:
    """An upgrade flushes and then ends the thread: the count must not be lost."""
    with LogWriter(PassAll(), max_records=3) as writer:
        logger.warning("first")
        assert recorder.is_writing.wait(GIVE_UP_S)
        assert not writer.flush(0.0)
        for number in range(5):
            logger.warning("line %d", number)
        recorder.may_write.set()
    assert recorder.messages == [
        "first",
        "lost 3 log lines: the log could not be written fast enough",
        "line 0",
        "line 1",
    ]


def test_count_of_lost_lines_heeds_the_level_of_the_log(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """The count is a warning, so a log of errors only does not have it."""
    caplog.set_level(logging.ERROR)
    with LogWriter(PassAll(), max_records=1) as writer:
        for _ in range(9):
            logger.error("line")
        recorder.may_write.set()
        assert writer.flush(GIVE_UP_S)
    assert set(recorder.messages) == {"line"}
    assert len(recorder.messages) < 9


def test_end_does_not_wait_for_a_log_that_stands_still(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program ends even if nobody reads its log."""
    monkeypatch.setattr(log_writer, "FLUSH_S", 0.01)
    writer = LogWriter(PassAll(), max_records=2)
    with writer:
        for _ in range(10):
            logger.warning("line")
    recorder.may_write.set()
    # Otherwise its thread would outlive the test.
    assert writer.flush(GIVE_UP_S)
    writer.stop()


def test_filter_sees_records_before_they_are_queued(recorder: Recorder) -> None:
    """Records of a flood are dropped on the logging thread, and never queued."""
    recorder.may_write.set()

    class HoldBack(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return "held" not in record.getMessage()

    with LogWriter(HoldBack()):
        logger.warning("held back")
        logger.warning("written")
    assert recorder.messages == ["written"]


def test_log_is_as_it_was_if_its_thread_cannot_be_started(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised, and the root logger has its old handlers."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    recorder.may_write.set()
    with pytest.raises(StartError, match="writes the log: can't start new thread"):
        LogWriter(PassAll()).__enter__()
    logger.warning("written at once")
    assert recorder.messages == ["written at once"]


def test_handler_that_fails_costs_its_line_alone(recorder: Recorder) -> None:
    """The lines after it are written."""

    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("as asked for")

    recorder.may_write.set()
    logging.getLogger().handlers = [Failing(), recorder]
    with LogWriter(PassAll()):
        logger.warning("first")
        logger.warning("second")
    assert recorder.messages == ["first", "second"]
