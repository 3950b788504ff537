"""An I/O thread that the test turns by hand, with a clock that the test sets.

Nothing runs by itself: `Hand.turn` takes the loop through what is ready, so
that the order of events is the test's and no test waits.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from types import TracebackType

from pacemaker.core.accounts.account import Account
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.miss_holder import MissHolder
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.core.store.store import Store
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server.io import limits
from pacemaker.server.io.buffers.buffer_budget import BufferBudget
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import Ending
from pacemaker.server.io.handoff import Replaced
from pacemaker.server.io.io_thread import IoThread
from pacemaker.server.io.io_thread_parts import Clocks, SharedParts
from pacemaker.server.io.sasl_steps import SaslStepRunner, ThreadFactory
from pacemaker.server.io.sockets import set_reset_on_close
from pacemaker.server.upgrade_state import PeerAddress
from pacemaker.texts import split_host_and_port
from tests.wire.by_hand import Wire

MAX_BODY_BYTES = 10485760
GIVE_UP_S = 20.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


class TickingClock:
    """A clock that advances by some milliseconds each time it is read."""

    def __init__(self, step_s: float = 0.001, now_s: float = 1000.0) -> None:
        self.now_s = now_s
        self.step_s = step_s

    def __call__(self) -> float:
        """Return the time."""
        self.now_s += self.step_s
        return self.now_s


class Hand:
    """An I/O thread that the test turns, and peers connected to it by TCP."""

    def __init__(
        self,
        budget_bytes: int = 2**30,
        mechanism_factory: MechanismFactory | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        hold_s: float = 0.0,
        make_thread: ThreadFactory | None = None,
    ) -> None:
        self.clock = Clock()
        self.boot_clock = Clock()
        self.store = Store()
        self.budget: BufferBudget[Connection] = BufferBudget(budget_bytes)
        self.figures = Figures()
        self.steps = SaslStepRunner(self.clock, make_thread)
        self.miss_holder = MissHolder(self.store)
        dispatcher = Dispatcher(self.store, self.figures, max_body_bytes)

        def make_protocol(peer: str, account: Account) -> ServerProtocol:
            mechanism = None if mechanism_factory is None else mechanism_factory()
            return ServerProtocol(
                *(dispatcher, max_body_bytes, mechanism, peer),
                *(self.miss_holder.new_reads(account), account),
            )

        self.accounts = AccountRegistry()

        self.thread = IoThread(
            *(0, make_protocol, self.figures),
            SharedParts(self.budget, self.steps, self.accounts),
            Clocks(self.clock, self.boot_clock),
        )
        if hold_s:
            self.thread.hold_misses(self.miss_holder, self.boot_clock() + hold_s)
            self.thread.turn()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._peers: list[Wire] = []

    def connect(
        self, name: str = "", host: str = "127.0.0.1"
    ) -> tuple[Wire, Connection]:
        """Connect a peer, and return both ends.

        Args:
            name: the address that it counts as, with a port; "" for its real port.
            host: the address that it counts as, if there is no name.
        """
        wire, sock = self.accept()
        fd = sock.fileno()
        peer = PeerAddress(host, sock.getpeername()[1])
        if name:
            peer = PeerAddress(*split_host_and_port(name))
        account = self.accounts.add_connection(*peer)
        self.thread.add_connection(sock, peer, account)
        self.thread.turn()
        return wire, self.thread.connections[fd]

    def replace(
        self, replaces: Replaced = Replaced.EXPENDABLE_OF_ADDRESS
    ) -> tuple[Wire, bool]:
        """Connect a peer in exchange for another one; return whether it stays."""
        wire, sock = self.accept()
        fd = sock.fileno()
        peer = PeerAddress("127.0.0.1", sock.getpeername()[1])
        account = self.accounts.add_connection(*peer)
        self.thread.add_connection(sock, peer, account, replaces)
        self.thread._open_until(self.clock())
        return wire, fd in self.thread.connections

    def accept_late(self) -> Wire:
        """Connect a peer and hand it to the thread, which has not opened it yet."""
        wire, sock = self.accept()
        peer = PeerAddress("127.0.0.1", 1)
        account = self.accounts.add_connection(*peer)
        self.thread.add_connection(sock, peer, account)
        return wire

    def accept(self) -> tuple[Wire, socket.socket]:
        """Connect a peer without handing its connection to the thread."""
        wire = Wire(self._listener.getsockname(), GIVE_UP_S)
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        set_reset_on_close(sock, True)
        self._peers.append(wire)
        return wire, sock

    def turn_until(self, is_reached: Callable[[], bool]) -> None:
        """Turn the loop until a condition holds; each turn waits for an event."""
        for _ in range(100_000):
            if is_reached():
                return
            self.thread.turn()
        raise AssertionError("not reached in 100,000 turns")

    def ask(self, wire: Wire, frame: bytes) -> bytes:
        """Send a request from a peer and return the server's answer."""
        wire.send(frame)
        self.turn_until_readable(wire)
        return wire.receive()

    def turn_until_readable(self, wire: Wire) -> None:
        """Turn the loop until a peer has something to read or is disconnected."""
        peer, loop = wire.socket.fileno(), self.thread._epoll.fileno()
        self.turn_until(
            # Either may be next: a turn alone would wait for the loop's, a second.
            lambda: peer in select.select([peer, loop], [], [], 0.05)[0]
        )

    def after(self, seconds: float) -> None:
        """Let time pass in steps of one sweep, so that the loop sees all of it."""
        while seconds > limits.SWEEP_S:
            self.leap(limits.SWEEP_S)
            seconds -= limits.SWEEP_S
        self.leap(seconds)

    def leap(self, seconds: float) -> None:
        """Let time pass in one step, as after the process or machine was paused."""
        self.clock.now_s += seconds
        self.boot_clock.now_s += seconds
        self.thread.call(lambda: None)
        self.thread.turn()

    def close(self) -> None:
        """Close the peers, the connections and the thread's descriptors."""
        for wire in self._peers:
            wire.close()
        for connection in tuple(self.thread.connections.values()):
            connection.end(Ending.STOPPED)
        self.steps.close()
        self.thread.close()
        self._listener.close()

    def __enter__(self) -> Hand:
        """Return the hand itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close everything."""
        self.close()
