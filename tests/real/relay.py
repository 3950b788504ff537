"""A relay between clients and a server, as a process that a test gives orders.

Run as ``python -m tests.real.relay PORT``: it prints the port that it listens
on, and answers each line of stdin once the order is carried out:

* ``reset``: reset every connection, at both ends; new ones are accepted;
* ``freeze``: stop forwarding and accepting; to both ends that looks like a network
  that drops everything;
* ``thaw``: continue, with the bytes that have arrived meanwhile.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
from typing import Final

from tests.real.child import Child
from tests.real.jvm import ROOT

READ_BYTES: Final = 64 * 1024
_RESET: Final = struct.pack("ii", 1, 0)


class Relay(Child):
    """The relay as a child process.

    Args:
        port: the server's, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        super().__init__(
            [sys.executable, "-m", "tests.real.relay", str(port)], cwd=ROOT
        )
        self.address = ("127.0.0.1", int(self.line()))

    def order(self, word: str) -> None:
        """Give an order and wait until it is carried out."""
        assert self.ask(word) == word


class _Process:
    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._other: dict[socket.socket, socket.socket] = {}
        self._is_frozen = False
        self._orders = {
            "reset": self._reset,
            "freeze": self._freeze,
            "thaw": self._thaw,
        }
        self._selector.register(sys.stdin, selectors.EVENT_READ, "orders")
        self._selector.register(self._listener, selectors.EVENT_READ)

    def run(self) -> None:
        """Relay until stdin ends."""
        self._say(str(self._listener.getsockname()[1]))
        while True:
            for key, _ in self._selector.select():
                if key.data == "orders":
                    if not self._take_order():
                        return
                elif key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._carry(key.fileobj)

    def _take_order(self) -> bool:
        word = sys.stdin.readline().strip()
        if word:
            self._orders[word]()
            self._say(word)
        return bool(word)

    def _say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            near.close()
            return
        for here, there in ((near, far), (far, near)):
            here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._other[here] = there
            self._selector.register(here, selectors.EVENT_READ)

    def _carry(self, sock: socket.socket) -> None:
        if sock not in self._other:
            return  # reset by an order of this turn
        data = b""
        with contextlib.suppress(OSError):
            data = sock.recv(READ_BYTES)
            # Blocks where the other end does not read: both ends only ever
            # have a hundred small messages on their way.
            self._other[sock].sendall(data)
        if not data:
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        for each in (sock, self._other.pop(sock)):
            self._other.pop(each, None)
            if not self._is_frozen:
                self._selector.unregister(each)
            each.close()

    def _reset(self) -> None:
        for sock in list(self._other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for sock in list(self._other):
            if sock in self._other:
                self._end(sock)

    def _freeze(self) -> None:
        self._is_frozen = True
        for sock in (self._listener, *self._other):
            self._selector.unregister(sock)

    def _thaw(self) -> None:
        self._is_frozen = False
        for sock in (self._listener, *self._other):
            self._selector.register(sock, selectors.EVENT_READ)


if __name__ == "__main__":
    _Process(int(sys.argv[1])).run()
