"""The watchdog over threads that turn when the test says so."""

from __future__ import annotations

from collections.abc import Callable

from pacemaker.server.process.watchdog import Watchdog


class Thread:
    """A fake thread: keeps its queued calls until it turns."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def turn(self) -> None:
        """Run all queued calls."""
        while self.calls:
            self.calls.pop(0)()


def test_watchdog_is_fed_while_every_thread_turns() -> None:
    """The watchdog is fed once for each turn of every thread."""
    fed: list[bool] = []
    threads = [Thread(), Thread()]
    watchdog = Watchdog(
        [thread.calls.append for thread in threads], lambda: fed.append(True)
    )
    for times in range(1, 4):
        watchdog.check()
        assert len(fed) == times
        for thread in threads:
            thread.turn()


def test_watchdog_starves_when_one_thread_stands_still() -> None:
    """One thread that does not turn is enough, and it is asked only once."""
    fed: list[bool] = []
    good, stuck = Thread(), Thread()
    watchdog = Watchdog(
        [good.calls.append, stuck.calls.append], lambda: fed.append(True)
    )
    for _ in range(5):
        watchdog.check()
        good.turn()
    assert len(fed) == 1
    assert len(stuck.calls) == 1
    stuck.turn()
    watchdog.check()
    assert len(fed) == 2
