"""The HTTP shell of the admin endpoint: a listener, and a thread for each request.

`http.server` of the standard library reads the requests.  The daemon's I/O threads
never wait for this module, but all threads share one interpreter, so it is kept small:

* At most `MAX_CONNECTIONS` connections are open.  When another one arrives, the oldest
  is closed, but not before it has had `EVICTION_GRACE_S`: a probe needs milliseconds,
  and silent clients must not keep a probe out.  New ones wait in the kernel's backlog
  until then.
* After each connection the acceptor waits for `ACCEPT_PAUSE_S`, so a port scan or a
  flood takes a small part of a core.
* A connection may send one request, and has `REQUEST_DEADLINE_S` in all, however slowly
  it sends.
* Bodies are made in slices, with pauses in between.  While others wait for the
  interpreter, a thread that computes keeps it for 5 ms at a time; a thread that sleeps
  does not.
* Only one long body is made at a time.  An I/O thread gives up the interpreter in each
  read and write; if several threads computed, it would get it back only after all of
  them, each time.
* Incomplete requests are not answered, and a long body is given up if its connection
  is closed meanwhile.
"""

from __future__ import annotations

import contextlib
import io
import logging
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, TypeAlias

from pacemaker.admin.listening import is_unix
from pacemaker.admin.routes import HttpRequest, HttpResponse, text_response
from pacemaker.wakeup import WakeUp

_logger: Final = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 16
REQUEST_DEADLINE_S: Final = 5.0
EVICTION_GRACE_S: Final = 0.25
ACCEPT_PAUSE_S: Final = 0.005
# How long a body is made without a pause, and how long the pause is.
BODY_SLICE_S: Final = 0.0001
_PAUSE_IN_BODY_S: Final = 0.0002
# How long to wait if a connection cannot be accepted, for lack of descriptors.
_ERROR_PAUSE_S: Final = 0.2
_CLOSE_S: Final = 1.0
_SERVER_ERROR: Final = 500

RequestHandler: TypeAlias = Callable[[HttpRequest], HttpResponse]


class AdminServer(threading.Thread):
    """The thread that accepts connections, and the threads that answer them.

    Args:
        listener: the listening socket, non-blocking; it stays open at the end.
        answer: answers the requests; called on many threads.
        deadline_s: how long a connection may take in all.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: RequestHandler,
        deadline_s: float = REQUEST_DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="pacemaker-admin", daemon=True)
        self.answer = answer
        self.is_private = is_unix(listener)
        # Held while a long body is made.
        self.long_body = threading.Lock()
        self._listener = listener
        self._deadline_s = deadline_s
        self._clock = clock
        # Guards the one below: the answering threads remove what this thread adds.
        self._lock = threading.Lock()
        # The open connections, the oldest first, and when each was accepted.
        self._open: dict[socket.socket, float] = {}
        self._is_stopping = False
        # Opened before the thread runs, because later there may be no descriptor left.
        self._wake_up = WakeUp()
        self._all = selectors.DefaultSelector()
        self._all.register(listener, selectors.EVENT_READ)
        self._wake_alone = selectors.DefaultSelector()
        for selector in (self._all, self._wake_alone):
            selector.register(self._wake_up.fd, selectors.EVENT_READ)

    def stop(self) -> None:
        """End the thread and every connection, and close its descriptors."""
        self._is_stopping = True
        self._wake_up.wake()
        if self.ident is not None:
            self.join()
        self._end_older_than(-1.0)
        deadline_s = self._clock() + _CLOSE_S
        while self._count() and self._clock() < deadline_s:
            time.sleep(ACCEPT_PAUSE_S)
        self._all.close()
        self._wake_alone.close()
        self._wake_up.close()

    def run(self) -> None:
        """Accept until `stop`.  No error ends the loop."""
        while not self._is_stopping:
            try:
                self._turn()
            except Exception as exc:
                _logger.warning("admin endpoint: a connection failed: %s", exc)
                self._wake_alone.select(_ERROR_PAUSE_S)

    def _turn(self) -> None:
        self._end_older_than(self._deadline_s)
        if self._count() >= MAX_CONNECTIONS:
            self._make_room()
            return
        timeout_s = EVICTION_GRACE_S if self._count() else None
        ready = self._all.select(timeout_s)
        if any(key.fileobj is self._listener for key, _ in ready):
            self._accept()
            self._wake_alone.select(ACCEPT_PAUSE_S)

    def _make_room(self) -> None:
        """Close the oldest connection, once it has had its grace."""
        with self._lock:
            oldest_s = next(iter(self._open.values()), None)
        if oldest_s is not None:
            age_s = self._clock() - oldest_s
            if age_s >= EVICTION_GRACE_S:
                self._end_older_than(age_s)
        self._wake_alone.select(ACCEPT_PAUSE_S)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        connection.settimeout(self._deadline_s)
        with self._lock:
            self._open[connection] = self._clock()
        try:
            threading.Thread(
                target=self._serve,
                args=(connection,),
                name="pacemaker-admin-request",
                daemon=True,
            ).start()
        except (RuntimeError, MemoryError):  # there is no room for another thread
            self._close(connection)
            raise

    def _serve(self, connection: socket.socket) -> None:
        # A client may leave at any moment; that is not worth a line.
        try:
            with contextlib.suppress(OSError):
                _Handler(connection, "", self)  # type: ignore[arg-type]
        except Exception:
            _logger.exception("admin endpoint: a request failed")
        finally:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
        connection.close()

    def _count(self) -> int:
        with self._lock:
            return len(self._open)

    def _end_older_than(self, age_s: float) -> None:
        """End connections; their threads find them at their end, and close them."""
        limit_s = self._clock() - age_s
        # Under the lock, so that none of them is closed meanwhile: its descriptor could
        # then belong to another connection.
        with self._lock:
            for connection, began_s in self._open.items():
                if began_s <= limit_s:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)


class _WholeLines(io.BufferedReader):
    """Reads the lines of a request, and raises if the stream ends within one.

    `http.server` takes the end of the stream for the end of the headers, so it would
    answer a client that has left, or was ended, in the middle of its request.
    """

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line; raise ConnectionResetError if the stream ends within it."""
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise ConnectionResetError("the request is not complete")
        return line


class _Handler(BaseHTTPRequestHandler):
    """Reads one request and writes its reply."""

    server: AdminServer  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"
    rbufsize = 0
    wbufsize = -1

    def setup(self) -> None:
        """As `http.server`, which calls it."""
        super().setup()
        self.rfile = _WholeLines(self.rfile)

    def _answer(self) -> None:
        request = HttpRequest(
            self.command,
            self.path,
            self.headers.get("Host"),
            self.headers.get("Authorization"),
            self.server.is_private,
        )
        try:
            reply = self.server.answer(request)
            body = self._body(reply)
        except ConnectionError:
            raise
        except Exception:
            _logger.exception("admin endpoint: %s failed", self.command)
            reply = text_response(_SERVER_ERROR, "a bug in the daemon: see its log")
            body = b"".join(reply.slices)
        self._write(reply, body)

    # The names that http.server calls.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _body(self, reply: HttpResponse) -> bytes:
        parts = []
        rested_s = time.monotonic()
        with contextlib.ExitStack() as alone:
            is_long = False
            for part in reply.slices:
                parts.append(part)
                # Not after each slice: a sleep takes as long as writing a small one.
                if time.monotonic() - rested_s > BODY_SLICE_S:
                    if not is_long:
                        is_long = True
                        alone.enter_context(self.server.long_body)
                    if self._is_abandoned():
                        raise ConnectionAbortedError("ended while its reply was made")
                    time.sleep(_PAUSE_IN_BODY_S)
                    rested_s = time.monotonic()
        return b"".join(parts)

    def _is_abandoned(self) -> bool:
        """Return whether nobody will read the reply.

        The client has closed the connection, or this server has ended it.  A client
        that shuts down its own direction before it has the reply looks the same, and
        gets no long page: scrapers, browsers and our own commands do not do that.
        """
        end = select.poll()
        end.register(self.connection, select.POLLRDHUP)
        return bool(end.poll(0))

    def _write(self, reply: HttpResponse, body: bytes) -> None:
        self.send_response_only(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answer what is not an HTTP request, without repeating any of it."""
        self.command = ""
        reply = text_response(code, "this is not a valid HTTP request")
        self.close_connection = True
        self._write(reply, b"".join(reply.slices))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: a probe every few seconds would make up most of the log."""
