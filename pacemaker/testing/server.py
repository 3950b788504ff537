"""A Pacemaker in memory that can die, stall, answer late or answer garbage."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from pacemaker.client.address import ServerAddress
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.listing import Listing
from pacemaker.core.store.store import Store
from pacemaker.testing.clock import MemoryClock
from pacemaker.wire import messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import Message

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_STORED_BYTES: Final = 64 * 1024 * 1024

# The behaviour of a server on one connection: a generator that is sent each request.
#
#     def one_answer(peer):
#         peer.answer((yield))
#         yield  # the next request has no answer, and ends the connection
Script: TypeAlias = Callable[["MemoryPeer"], Generator[None, Message, None]]


class MemoryServer:
    """One server of a `MemoryNetwork`; `MemoryNetwork.server` creates it.

    By default it answers as a Pacemaker does, before the call that sends the request
    returns.

    Attributes:
        address: its host and port.
        clock: the clock of the network.
        pulses: its heartbeats, which a test may read and change without a client.
        peers: all connections so far, including those that have ended.
        requests: all requests that it has processed.
        delay_s: how long each answer takes.
        is_dead: whether connections are refused.
        is_unreachable: whether connections are neither made nor refused.
        errors: the exceptions of the scripts.
    """

    def __init__(self, address: ServerAddress, clock: MemoryClock) -> None:
        self.address = address
        self.clock = clock
        self.peers: list[MemoryPeer] = []
        self.requests: list[Message] = []
        self.delay_s = 0.0
        self.is_dead = False
        self.is_unreachable = False
        self.errors: list[BaseException] = []
        self._is_stalled = False
        self._garbage: bytes | None = None
        self._scripts: list[Script] = []
        self._forget()

    def __repr__(self) -> str:
        return f"<MemoryServer {self.address} dead={self.is_dead}>"

    def script(self, *scripts: Script) -> MemoryServer:
        """Run a script on each of the next connections; return the server itself."""
        self._scripts += scripts
        return self

    def die(self) -> None:
        """Reset all connections, refuse new ones, and lose the heartbeats."""
        with self.clock.changed:
            self.is_dead = True
            self._forget()
            self.reset_connections()

    def come_back(self) -> None:
        """Accept connections again."""
        with self.clock.changed:
            self.is_dead = self._is_stalled = False

    def reset_connections(self) -> None:
        """Reset all connections, and accept new ones."""
        for peer in self.peers:
            peer.reset()

    def stall(self) -> None:
        """Hang: accept connections and receive bytes, but process nothing."""
        with self.clock.changed:
            self._is_stalled = True

    def resume(self) -> None:
        """Process everything that has arrived since `stall`, and continue."""
        with self.clock.changed:
            self._is_stalled = False
            for peer in self.peers:
                peer.process()

    def garble(self, data: bytes) -> None:
        """Answer the next request with these bytes."""
        with self.clock.changed:
            self._garbage = data

    def put(self, path: str, details: bytes) -> None:
        """Store a heartbeat, as if a worker had sent it."""
        self.pulses.put(path, details)

    def get(self, path: str) -> bytes | None:
        """Return a heartbeat, or None."""
        return self.pulses.get(path)

    def accept(self) -> MemoryPeer | None:
        """Accept a connection of a client; None if it never connects."""
        if self.is_unreachable:
            return None
        script = self._scripts.pop(0) if self._scripts else MemoryPeer.serve
        peer = MemoryPeer(self, script)
        self.peers.append(peer)
        return peer

    @property
    def is_stalled(self) -> bool:
        """Whether it hangs."""
        return self._is_stalled

    def reply_to(self, message: Message) -> bytes:
        """Carry out a request and return the bytes of its reply."""
        if self._garbage is not None:
            garbage, self._garbage = self._garbage, None
            return garbage
        reply = self._dispatcher.reply_to(message, authenticated=True)
        if isinstance(reply, Listing):
            while (chunks := reply.step()) is None:
                pass
            return b"".join(chunks)
        if reply is None:
            raise ValueError(
                f"{messages.name_of(message.type)} is not a request that a Pacemaker"
                " answers"
            )
        return messages.encode(reply)

    def _forget(self) -> None:
        self.pulses = Store(MAX_STORED_BYTES)
        self._dispatcher = Dispatcher(self.pulses, Figures(), MAX_BODY_BYTES)


class MemoryPeer:
    """The server's end of one connection; its script calls it.

    Args:
        server: the server.
        script: the server's behaviour on this connection.

    Attributes:
        outgoing: the bytes that the client has not read yet.
        is_closed: whether either side has ended the connection.
        is_reset: whether the server has ended it with a reset.
    """

    def __init__(self, server: MemoryServer, script: Script) -> None:
        self._server = server
        self._changed = server.clock.changed  # guards everything below
        self._frames = FrameReader(MAX_BODY_BYTES)
        self._script = script(self)
        self.outgoing = bytearray()
        self.is_closed = False
        self.is_reset = False
        self._run(None)

    def serve(self, count: int | None = None) -> Generator[None, Message, None]:
        """Answer as a Pacemaker does: some requests, or all; for ``yield from``."""
        while count is None or count > 0:
            self.answer((yield))
            count = None if count is None else count - 1

    def answer(self, message: Message) -> None:
        """Carry out a request, and send the reply after the server's delay."""
        data = self._server.reply_to(message)
        if self._server.delay_s:
            self._server.clock.call_later(self._server.delay_s, lambda: self.send(data))
        else:
            self.send(data)

    def send(self, data: bytes) -> None:
        """Send bytes, unless the connection has ended."""
        with self._changed:
            if not self.is_closed:
                self.outgoing += data
                self._changed.notify_all()

    def close(self) -> None:
        """End the connection; the client can still read what was sent."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def reset(self) -> None:
        """End the connection with a reset, unless it has ended."""
        with self._changed:
            if not self.is_closed:
                self.is_reset = True
                self.close()

    def hang_up(self) -> None:
        """Note that the client has ended the connection."""
        self.is_closed = True

    def receive(self, data: bytes) -> None:
        """Receive bytes from the client, and process them unless the server hangs."""
        self._frames.receive(data)
        self.process()

    def process(self) -> None:
        """Process the requests that have arrived."""
        while not self._server.is_stalled and not self.is_closed:
            frame = self._frames.next()
            if frame is None:
                return
            data, start, end = frame
            message = messages.decode(data[start:end])
            self._server.requests.append(message)
            self._run(message)

    def _run(self, message: Message | None) -> None:
        """Continue the script; when it returns, the connection ends."""
        try:
            if message is None:
                next(self._script)
            else:
                self._script.send(message)
        except StopIteration:
            self.close()
        except BaseException as exc:
            self._server.errors.append(exc)
            self.close()


def silent(peer: MemoryPeer) -> Generator[None, Message, None]:
    """Receive requests and answer none of them."""
    while True:
        yield


def silent_after(count: int) -> Script:
    """Return a script that answers a number of requests, and none after them."""

    def script(peer: MemoryPeer) -> Generator[None, Message, None]:
        yield from peer.serve(count)
        yield from silent(peer)

    return script
