"""Two or three daemons, one of which fails and returns under load."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pacemaker.client import (
    PacemakerConnection,
    PacemakerPool,
    ServerAddress,
    requests,
)
from pacemaker.config import Settings
from tests.real.daemons import Daemon
from tests.real.relay import Relay

pytestmark = pytest.mark.real

DEADLINE_S = 3.0
GO_ON_S = 2 * DEADLINE_S
"""Within this writers go on, and readers have what the living ones have.

A turn in which each of three calls waits for the one that failed takes three
deadlines.  One deadline of room is for a machine that has other things to do."""

CALLS = 40
"""How many calls each thread makes before, during and after the failure."""

TIMEOUT_S = 60.0


class Server:
    """A daemon that can fail in some way and come back."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._daemon = stack.enter_context(Daemon())
        self.address = ServerAddress(*self._daemon.address)

    def fail(self) -> None:
        """Be killed, which loses what is stored."""
        self._daemon.signal(signal.SIGKILL)
        self._daemon.wait()

    def restore(self) -> None:
        """Be started again."""
        self._daemon = self._stack.enter_context(Daemon(port=self.address.port))


class StoppedServer(Server):
    """One that stands still."""

    def fail(self) -> None:
        """Stand still, with all connections open."""
        self._daemon.signal(signal.SIGSTOP)

    def restore(self) -> None:
        """Go on."""
        self._daemon.signal(signal.SIGCONT)


class CutOffServer(Server):
    """One behind a network that swallows what it is given."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        super().__init__(stack)
        self._relay = stack.enter_context(Relay(self.address.port))
        self.address = ServerAddress(*self._relay.address)

    def fail(self) -> None:
        """Be cut off."""
        self._relay.order("freeze")

    def restore(self) -> None:
        """Be reachable again."""
        self._relay.order("thaw")


WAYS = {"SIGKILL": Server, "SIGSTOP": StoppedServer, "cut-off": CutOffServer}


@contextlib.contextmanager
def started(way: str, count: int) -> Iterator[list[Server]]:
    """Start the servers."""
    with contextlib.ExitStack() as stack:
        yield [WAYS[way](stack) for _ in range(count)]


class Load:
    """Threads that call without end; leaving the `with` ends them.

    Attributes:
        errors: whatever was raised, and whatever was answered wrongly.
        longest_s: by thread, the longest time from one answer to the next.
    """

    def __init__(self, *calls: Callable[[], None]) -> None:
        self.errors: list[object] = []
        self.longest_s = [0.0] * len(calls)
        self._done = [threading.Semaphore(0) for _ in calls]
        self._may_end = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, call))
            for number, call in enumerate(calls)
        ]

    def _run(self, number: int, call: Callable[[], None]) -> None:
        last_s = time.monotonic()
        while not self._may_end.wait(0.005):  # a pace, for the sake of two cores
            try:
                call()
            except Exception as exc:
                self.errors.append(exc)
            now_s = time.monotonic()
            self.longest_s[number] = max(self.longest_s[number], now_s - last_s)
            last_s = now_s
            self._done[number].release()

    def wait_for_calls(self) -> None:
        """Wait until every thread has made some more calls."""
        for done in self._done:
            for _ in range(CALLS):
                assert done.acquire(timeout=TIMEOUT_S)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._may_end.set()
        for thread in self._threads:
            thread.join()


def put(server: Server, path: str, details: bytes) -> None:
    """Store a value at one server alone."""
    with PacemakerConnection(server.address, timeout_s=TIMEOUT_S) as connection:
        connection.request(requests.send_pulse(path, details))


def writer(pool: PacemakerPool, number: int) -> Callable[[], None]:
    """Return what one worker does."""

    def write() -> None:
        pool.send_pulse(f"/load/{number}", b"x")

    return write


def reader(pool: PacemakerPool, living: list[Server]) -> Callable[[], None]:
    """Return what Nimbus does: it lists, and reads what the living ones have."""
    wanted = {str(server.address.port) for server in living}

    def read() -> None:
        names = pool.list_nodes("/only")
        assert wanted <= set(names), names
        for name in wanted:
            assert pool.get_pulse(f"/only/{name}") == name.encode()

    return read


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_cluster_goes_on_without_one_server(way: str, count: int) -> None:
    """Nobody sees an error, nobody waits long, and the server is used again."""
    with started(way, count) as servers:
        for server in servers:
            put(server, f"/only/{server.address.port}", b"%d" % server.address.port)
        settings = Settings(servers=tuple(str(each.address) for each in servers))
        with PacemakerPool(settings, timeout_s=DEADLINE_S) as pool:
            pool.create_path("/")
            victim = servers.pop(pool.writer)
            calls = [writer(pool, number) for number in range(2)]
            with Load(*calls, reader(pool, servers)) as load:
                load.wait_for_calls()
                victim.fail()
                try:
                    load.wait_for_calls()
                finally:
                    victim.restore()
                _wait_until_whole(pool)
                put(victim, "/again/1", b"x")
                assert pool.get_pulse("/again/1") == b"x"
                load.wait_for_calls()
        assert load.errors == []
        # A reader's turn is one list and a read of each living server's value,
        # of which only the first can meet the deadline.
        assert max(load.longest_s) < GO_ON_S


def _wait_until_whole(pool: PacemakerPool) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not all(each.is_available for each in pool.connections):
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)
