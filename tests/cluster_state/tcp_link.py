"""A TCP link to a server, which a test can cut, close or make deaf."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

WAIT_TIMEOUT_S = 30.0


class TcpLink:
    """Listens on 127.0.0.1 and passes bytes on to a server, and back.

    Args:
        server: the server's port on 127.0.0.1.

    """

    def __init__(self, server: int) -> None:
        self._server = ("127.0.0.1", server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()  # guards all below
        self._sockets: list[socket.socket] = []
        self._is_open = True
        self._trap: Callable[[bytes], bool] | None = None
        self._holds_requests = False
        self._drops_answers = False
        self._caught = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """End all connections; the next ones are as good as new."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
            self._trap = None
            self._holds_requests = self._drops_answers = False
            self._caught.clear()
        for end in sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close_gate(self) -> None:
        """End all connections, and each new one at once, until `open_gate`."""
        with self._lock:
            self._is_open = False
        self.cut()

    def open_gate(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._is_open = True

    def hold(self, is_it: Callable[[bytes], bool]) -> None:
        """Keep a request, and all after it, from the server, until `cut`."""
        with self._lock:
            self._trap, self._holds_requests = is_it, True

    def drop_answer(self, is_it: Callable[[bytes], bool]) -> None:
        """Keep a request's answer, and all after it, from the client, until `cut`."""
        with self._lock:
            self._trap, self._drops_answers = is_it, True

    def wait_caught(self) -> None:
        """Wait until the request is held, or its answer dropped."""
        assert self._caught.wait(WAIT_TIMEOUT_S), "nothing of the kind came"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, WAIT_TIMEOUT_S)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        with self._lock:
            if not self._is_open:
                client.close()
                server.close()
                return
            self._sockets += [client, server]
        for pump in (
            threading.Thread(target=self._pump, args=(client, server, True)),
            threading.Thread(target=self._pump, args=(server, client, False)),
        ):
            self._threads.append(pump)
            pump.start()

    def _pump(
        self, source: socket.socket, target: socket.socket, is_request: bool
    ) -> None:
        catches = self._catches_request if is_request else self._catches_answer
        with source, contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not catches(data):
                    target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def _catches_request(self, data: bytes) -> bool:
        with self._lock:
            if self._trap is not None and self._trap(data):
                self._trap = None
            if not self._holds_requests or self._trap is not None:
                return False
            self._caught.set()
            return True

    def _catches_answer(self, data: bytes) -> bool:
        with self._lock:
            if not self._drops_answers or self._trap is not None:
                return False
            self._caught.set()
            return True

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            # A blocked accept does not notice that its socket is closed.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> TcpLink:
        """Return the link itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything."""
        self.close()
