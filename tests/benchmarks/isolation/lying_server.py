"""A Pacemaker that answers as it should, until it begins to lie."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.isolation import wire
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Nodes, Pulse
from tests.benchmarks.isolation.made_up import TOPOLOGY

RESET = struct.pack("ii", 1, 0)

Lie = Callable[["LyingServer", Message, list[bytes]], list[bytes] | None]
"""Makes what is sent of a message and the right replies; None for a reset."""


class LyingServer(socketserver.ThreadingTCPServer):
    """A server on a free port, with a thread for each connection.

    Args:
        lie: what it does wrong, once `begin_to_lie` was called.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, lie: Lie) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.first: dict[str, bytes] = {}
        self.now: dict[str, bytes] = {}
        self.lies_told = threading.Semaphore(0)
        self._lie = lie
        self._is_lying = threading.Event()

    def begin_to_lie(self, lies: int) -> None:
        """Lie from now on; return when that has happened a number of times."""
        self._is_lying.set()
        for _ in range(lies):
            assert self.lies_told.acquire(timeout=60)

    def answer(self, message: Message) -> list[bytes] | None:
        """Return what a request is answered."""
        right = [messages.encode(self._reply(message))]
        if not self._is_lying.is_set():
            return right
        told = self._lie(self, message, right)
        if told != right:
            self.lies_told.release()
        return told

    def _reply(self, message: Message) -> Message:
        kind, data, message_id = message
        if isinstance(data, Pulse):
            assert data.details is not None
            self.first.setdefault(data.id, data.details)
            self.now[data.id] = data.details
            return Message(messages.SEND_PULSE_RESPONSE, None, message_id)
        assert isinstance(data, str)
        if kind == wire.GET_PULSE:
            found = Pulse(data, self.now.get(data))
            return Message(messages.GET_PULSE_RESPONSE, found, message_id)
        if kind == wire.LIST_NODES:
            names = Nodes([TOPOLOGY])
            return Message(messages.GET_ALL_NODES_FOR_PATH_RESPONSE, names, message_id)
        return Message(messages.DELETE_PATH_RESPONSE, None, message_id)


class _Connection(socketserver.StreamRequestHandler):
    server: LyingServer

    def handle(self) -> None:
        while length := self.rfile.read(4):
            body = self.rfile.read(int.from_bytes(length, "big"))
            replies = self.server.answer(messages.decode(body, 1000))
            if replies is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            self.wfile.write(b"".join(replies))


@contextmanager
def lying_server(lie: Lie) -> Iterator[LyingServer]:
    """Run a server until the block ends."""
    with LyingServer(lie) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
