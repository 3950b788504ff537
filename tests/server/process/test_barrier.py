"""The barrier over threads of the test's own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from pacemaker.server.process.barrier import Barrier

GIVE_UP_S = 10.0


class Worker:
    """A thread that calls what it is given, one after another."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def call(self, function: Callable[[], None]) -> None:
        """Have the thread call a function."""
        self._calls.put(function)

    def end(self) -> None:
        """End the thread."""
        self._calls.put(None)
        self._thread.join(GIVE_UP_S)
        assert not self._thread.is_alive()


def test_barrier_holds_threads_until_it_is_released() -> None:
    """Calls that are queued after the barrier run only after its release."""
    workers = [Worker(), Worker()]
    barrier = Barrier()
    deadline_s = time.monotonic() + GIVE_UP_S
    assert barrier.gather([worker.call for worker in workers], deadline_s)
    done: list[int] = []
    for number, worker in enumerate(workers):
        worker.call(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == []
    barrier.release()
    for worker in workers:
        worker.end()
    assert sorted(done) == [0, 1]


def test_barrier_gives_up_on_a_thread_that_does_not_come() -> None:
    """After the deadline the barrier reports it, and late threads pass through."""
    good, busy = Worker(), Worker()
    is_free = threading.Event()

    def be_busy() -> None:
        is_free.wait(GIVE_UP_S)

    busy.call(be_busy)
    barrier = Barrier()
    assert not barrier.gather([good.call, busy.call], time.monotonic())
    barrier.release()
    is_free.set()
    good.end()
    busy.end()
