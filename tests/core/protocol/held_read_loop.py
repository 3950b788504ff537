"""The connections of one I/O thread whose misses are held, without a socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.contract import Wait
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.held_reads import HeldReads
from pacemaker.core.protocol.miss_holder import MissHolder
from pacemaker.core.store.store import KeyCallback, Store
from pacemaker.errors import LimitError
from tests.core.protocol.collecting import Collecting
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, path_request, send_pulse

LIMIT = 10_485_760
KEY = "/w/t/1"
GET = path_request(Type.GET_PULSE, KEY, 7)
GET_OTHER = path_request(Type.GET_PULSE, "/w/t/2", 7)
HIT = wire.pulse_reply(KEY, b"beat", 7)
MISS = wire.pulse_reply(KEY, None, 7)
PULSE = send_pulse(KEY, b"beat", 5)
ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)


class SeenStore(Store):
    """A store that records which keys are awaited, and by how many callbacks."""

    def __init__(self, budget_bytes: int | None = None) -> None:
        super().__init__(budget_bytes)
        self.awaited: dict[str, list[KeyCallback]] = {}

    def put(self, key: str, *args: Any, **kwargs: Any) -> None:
        """Store a key: it is no longer awaited."""
        before = self.awaited.pop(key, None)
        try:
            super().put(key, *args, **kwargs)
        except LimitError:
            if before is not None:
                self.awaited[key] = before
            raise

    def await_key(self, key: str, callback: KeyCallback) -> bool:
        """Await a key."""
        is_awaited = super().await_key(key, callback)
        if is_awaited:
            self.awaited.setdefault(key, [])
            if callback not in self.awaited[key]:
                self.awaited[key].append(callback)
        return is_awaited

    def stop_awaiting(self, key: str, callback: KeyCallback) -> None:
        """Stop awaiting a key."""
        super().stop_awaiting(key, callback)
        callbacks = self.awaited.get(key, [])
        if callback in callbacks:
            callbacks.remove(callback)
            if not callbacks:
                del self.awaited[key]

    def stop_awaiting_all(self) -> None:
        """Stop awaiting all keys."""
        super().stop_awaiting_all()
        self.awaited.clear()


class SeenMissHolder(MissHolder):
    """A miss holder that records the reads of its connections."""

    def __init__(self, store: Store, account_limit_bytes: int | None = None) -> None:
        super().__init__(store, account_limit_bytes)
        self.reads: list[HeldReads] = []

    def new_reads(self, account: Account = UNKNOWN_PEER) -> HeldReads | None:
        """Record the reads of each connection."""
        reads = super().new_reads(account)
        if reads is not None:
            self.reads.append(reads)
        return reads


class Loop:
    """The I/O thread of some connections: a queue of calls that the test runs."""

    def __init__(self, store: SeenStore | None = None, *, is_on: bool = True) -> None:
        self.store = SeenStore() if store is None else store
        self.figures = Figures()
        self.miss_holder = SeenMissHolder(self.store)
        self.dispatcher = Dispatcher(self.store, self.figures, LIMIT)
        self.calls: deque[Callable[[], None]] = deque()
        if is_on:
            self.miss_holder.begin(self.calls.append)

    def connect(self, account: Account = UNKNOWN_PEER) -> Peer:
        """Connect a peer without authentication."""
        return Peer(self, account)

    def turn(self) -> None:
        """Run the calls that are queued."""
        for _ in range(len(self.calls)):
            self.calls.popleft()()

    def drain(self) -> None:
        """Run calls until none is queued."""
        while self.calls:
            self.turn()

    @property
    def is_clear(self) -> bool:
        """Whether no held read has left anything behind."""
        return not (self.miss_holder.held_read_bytes or self.store.awaited)


class Peer:
    """One connection; the test acts as its owner."""

    def __init__(self, loop: Loop, account: Account = UNKNOWN_PEER) -> None:
        self.server = Collecting(
            *(loop.dispatcher, LIMIT, None, "peer:1"),
            *(loop.miss_holder.new_reads(account), account),
        )
        self.server.call_on_release(self._on_release)
        self.releases = 0

    def _on_release(self) -> None:
        self.releases += 1
        if self.server.wait in (Wait.REQUEST, Wait.MORE):
            self.server.resume()

    def ask(self, data: bytes) -> bytes:
        """Send bytes; return the immediate reply."""
        self.server.receive_data(data)
        return self.taken()

    def taken(self) -> bytes:
        """Return what was to be sent since the last call."""
        return self.server.sent()


def size_of_a_read() -> int:
    """Return the size that one held read of `KEY` counts with."""
    loop = Loop()
    loop.connect().ask(GET)
    return loop.miss_holder.held_read_bytes
