"""A server on a real port, with a script for each connection."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

from pacemaker.client.address import ServerAddress
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.store.store import Store
from pacemaker.wire import messages
from pacemaker.wire.messages import Message

TIMEOUT_S = 30.0
"""How long anything here may take before the test fails."""


class Peer:
    """One accepted connection, on a thread of its own."""

    def __init__(self, sock: socket.socket, dispatcher: Dispatcher) -> None:
        self._sock = sock
        self._dispatcher = dispatcher
        sock.settimeout(TIMEOUT_S)

    def receive(self) -> Message | None:
        """Return the next message; None at the end of the stream."""
        head = self._exactly(4)
        if head is None:
            return None
        body = self._exactly(int.from_bytes(head, "big"))
        return None if body is None else messages.decode(body)

    def expect(self) -> Message:
        """Return the next message, which must come."""
        message = self.receive()
        assert message is not None, "the client ended the connection"
        return message

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._sock.sendall(data)

    def answer(self, message: Message) -> None:
        """Answer a request as a Pacemaker does."""
        reply = self._dispatcher.reply_to(message, authenticated=True)
        assert isinstance(reply, Message)
        self.send(messages.encode(reply))

    def serve(self, count: int | None = None) -> None:
        """Answer so many requests; or all, until the client ends the connection."""
        while count is None or count > 0:
            message = self.receive()
            if message is None:
                return
            self.answer(message)
            count = None if count is None else count - 1

    def has_bytes(self) -> bool:
        """Tell whether the client has sent more than was received."""
        return bool(select.select([self._sock], [], [], 0)[0])

    def reset(self) -> None:
        """End the connection by a reset."""
        self._sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self._sock.close()

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _exactly(self, size_bytes: int) -> bytes | None:
        data = b""
        while len(data) < size_bytes:
            try:
                part = self._sock.recv(size_bytes - len(data))
            except OSError:
                return None
            if not part:
                return None
            data += part
        return data


Script: TypeAlias = Callable[[Peer], None]


class FakeServer:
    """Listens on 127.0.0.1; each connection runs the next script, then ends.

    Args:
        scripts: what to do with the first connections, in order; those after
            the last script are served as by a Pacemaker.
        port: 0 for a free one.
    """

    def __init__(self, *scripts: Script, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = ServerAddress(*self._listener.getsockname())
        self._dispatcher = Dispatcher(Store(2**26), Figures(), 2**24)
        self._scripts = list(scripts)
        self._peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self.accepted: queue.Queue[Peer] = queue.Queue()
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def wait_for_connection(self) -> Peer:
        """Wait for the next connection that nobody has waited for."""
        return self.accepted.get(timeout=TIMEOUT_S)

    def close(self) -> None:
        """End everything, and raise what went wrong in a script."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(TIMEOUT_S)
        for peer in self._peers:
            peer.close()
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        if self._errors:
            raise self._errors[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(sock, self._dispatcher)
            script = self._scripts.pop(0) if self._scripts else Peer.serve
            thread = threading.Thread(target=self._run, args=(script, peer))
            self._peers.append(peer)
            self._threads.append(thread)
            thread.start()
            self.accepted.put(peer)

    def _run(self, script: Script, peer: Peer) -> None:
        try:
            script(peer)
        except BaseException as exc:
            self._errors.append(exc)
        finally:
            peer.close()

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def silent(peer: Peer) -> None:
    """Take what comes and never answer."""
    while peer.receive() is not None:
        pass


def silent_after(count: int) -> Script:
    """Answer so many requests, and none that follow."""

    def script(peer: Peer) -> None:
        peer.serve(count)
        silent(peer)

    return script
