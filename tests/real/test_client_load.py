"""One connection under load: each call gets its own reply, or a documented error."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.errors import CannotConnectError, ConnectionLostError, DeadlineError
from tests.real.daemons import Daemon
from tests.real.relay import Relay

pytestmark = pytest.mark.real

THREADS = 50
CALLS = 2000
RESETS = 20

DOCUMENTED = (CannotConnectError, ConnectionLostError, DeadlineError)


class Caller:
    """One thread's calls: it writes a value of its own, and reads it back.

    Attributes:
        errors: how many calls ended with which documented error.
        wrong: what must not be: another's reply, or another error.
    """

    def __init__(self, connection: PacemakerConnection, number: int) -> None:
        self._connection = connection
        self._path = f"/load/{number}"
        self.errors: Counter[type[Exception]] = Counter()
        self.wrong: list[object] = []

    def run(self, on_call: Callable[[], None]) -> None:
        """Make all calls, a write and a read in turn."""
        acknowledged = -1
        for turn in range(CALLS // 2):
            value = f"{self._path} {turn}".encode()
            if self._ask(requests.send_pulse(self._path, value)) is not _FAILED:
                acknowledged = turn
            read = self._ask(requests.get_pulse(self._path))
            if read is not _FAILED and not self._may_be(read, acknowledged, turn):
                self.wrong.append((self._path, acknowledged, turn, read))
            on_call()

    def _may_be(self, read: object, first: int, last: int) -> bool:
        """Tell whether it is the last acknowledged write, or one lost after it."""
        if not isinstance(read, bytes):
            return first < 0
        path, _, turn = read.decode().partition(" ")
        return path == self._path and first <= int(turn) <= last

    def _ask(
        self, request: requests.Request[bytes | None] | requests.Request[None]
    ) -> object:
        try:
            return self._connection.request(request)
        except DOCUMENTED as exc:
            self.errors[type(exc)] += 1
        except Exception as exc:
            self.wrong.append(exc)
        return _FAILED


_FAILED = object()


def test_fifty_threads_share_a_connection_that_is_reset() -> None:
    """100,000 calls over one connection with resets: nobody gets another's reply."""
    with Daemon() as daemon, Relay(daemon.address[1]) as relay:
        address = ServerAddress(*relay.address)
        with PacemakerConnection(address, timeout_s=30) as connection:
            callers = [Caller(connection, number) for number in range(THREADS)]
            _run(callers, relay)
            assert connection.request(requests.get_pulse("/load/0"))
    assert [wrong for caller in callers for wrong in caller.wrong] == []
    errors = sum((caller.errors for caller in callers), Counter[type[Exception]]())
    # Each reset loses at most what was in flight.
    assert 0 < errors.total() <= RESETS * THREADS
    assert errors[DeadlineError] == 0


def _run(callers: list[Caller], relay: Relay) -> None:
    """Let all callers run, and reset the connection evenly over their calls."""
    turns = threading.Semaphore(0)
    threads = [
        threading.Thread(target=caller.run, args=(turns.release,)) for caller in callers
    ]
    for thread in threads:
        thread.start()
    every = THREADS * CALLS // 2 // (RESETS + 1)
    for _ in range(RESETS):
        for _ in range(every):
            turns.acquire()
        relay.order("reset")
    for thread in threads:
        thread.join()
