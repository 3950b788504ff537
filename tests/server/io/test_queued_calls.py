"""The queue of functions that other threads want one thread to run."""

from __future__ import annotations

import math
import select
from collections.abc import Iterator

import pytest

from pacemaker.server.io.queued_calls import QueuedCalls
from tests.server.io.hand import Clock

pytestmark = pytest.mark.io


@pytest.fixture
def calls() -> Iterator[QueuedCalls]:
    """Yield a queue."""
    calls = QueuedCalls("tester")
    yield calls
    calls.close()


def _is_woken(calls: QueuedCalls) -> bool:
    return bool(select.select([calls.fd], [], [], 0)[0])


def test_calls_run_in_order_and_once(calls: QueuedCalls) -> None:
    """The thread is woken for them, and not again."""
    done: list[int] = []
    assert not _is_woken(calls)
    for number in range(3):
        calls.put(lambda number=number: done.append(number))  # type: ignore[misc]
    assert _is_woken(calls)
    calls.run_pending(Clock(), math.inf)
    assert done == [0, 1, 2]
    assert not _is_woken(calls)


def test_call_that_fails_is_logged_with_the_thread(
    calls: QueuedCalls, caplog: pytest.LogCaptureFixture
) -> None:
    """The calls after it still run."""
    done: list[int] = []
    calls.put(lambda: done.append(1 // 0))
    calls.put(lambda: done.append(1))
    calls.run_pending(Clock(), math.inf)
    assert done == [1]
    assert caplog.messages == ["tester: a call failed"]


def test_calls_that_take_long_wait_for_the_next_turn(calls: QueuedCalls) -> None:
    """The thread is woken again for them."""
    clock = Clock()
    done: list[float] = []

    def take_a_second() -> None:
        clock.now_s += 1.0
        done.append(clock.now_s)

    for _ in range(3):
        calls.put(take_a_second)
    calls.run_pending(clock, 1.5)
    assert len(done) == 2
    assert _is_woken(calls)
    calls.run_pending(clock, 1.5)
    assert len(done) == 3
    assert not _is_woken(calls)


def test_call_of_a_call_waits_for_the_next_turn(calls: QueuedCalls) -> None:
    """Calls that queue each other do not keep the thread from everything else."""
    done: list[int] = []

    def repeat() -> None:
        done.append(1)
        calls.put(repeat)

    calls.put(repeat)
    for turns in (1, 2, 3):
        calls.run_pending(Clock(), math.inf)
        assert len(done) == turns
        assert _is_woken(calls)


def test_wake_needs_no_call(calls: QueuedCalls) -> None:
    """A stop wakes the thread, which then looks around."""
    calls.wake()
    assert _is_woken(calls)
    calls.run_pending(Clock(), math.inf)
    assert not _is_woken(calls)
