"""Whether threads make progress, with fake threads and a fake clock."""

from __future__ import annotations

from collections.abc import Callable

from pacemaker.admin.progress import STUCK_S, Progress
from pacemaker.server import limits


class Loop:
    """A thread's queue of calls, which the test empties by hand."""

    def __init__(self) -> None:
        self.queued: list[Callable[[], None]] = []

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call."""
        self.queued.append(function)

    def turn(self) -> None:
        """Run what is queued."""
        queued, self.queued = self.queued, []
        for function in queued:
            function()


class Clock:
    """A clock that the test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def failed(progress: Progress) -> list[str]:
    """Return the names of the threads that are stuck."""
    return [check.name for check in progress.checks() if not check.is_ok]


def test_threads_that_turn_are_well() -> None:
    """However long they run."""
    clock, first, second = Clock(), Loop(), Loop()
    progress = Progress({"io-0": first.call, "io-1": second.call}, clock)
    for _ in range(100):
        progress.ask()
        first.turn()
        second.turn()
        clock.now_s += 1.0
        assert failed(progress) == []


def test_thread_that_is_stuck_is_named() -> None:
    """Within 15 s: the main thread asks once a second."""
    clock, stuck, well = Clock(), Loop(), Loop()
    progress = Progress({"io-0": stuck.call, "acceptor": well.call}, clock)
    while failed(progress) == []:
        progress.ask()
        well.turn()
        clock.now_s += limits.TIDY_EVERY_S
        assert clock.now_s < 1015.0
    assert failed(progress) == ["io-0"]
    assert progress.checks()[0].detail == f"last turn {STUCK_S:.1f} s ago"


def test_stuck_thread_gets_one_question() -> None:
    """Its queue does not grow; once it turns again, it is well."""
    clock, stuck = Clock(), Loop()
    progress = Progress({"io-0": stuck.call}, clock)
    for _ in range(100):
        progress.ask()
        clock.now_s += 1.0
    assert len(stuck.queued) == 1
    stuck.turn()
    assert failed(progress) == []


def test_stuck_main_thread_makes_all_answers_old() -> None:
    """Nobody asks the others any more."""
    clock, well = Clock(), Loop()
    progress = Progress({"io-0": well.call}, clock)
    progress.ask()
    well.turn()
    clock.now_s += STUCK_S
    assert failed(progress) == ["io-0"]
