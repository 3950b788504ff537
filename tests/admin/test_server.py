"""The HTTP shell, over real sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacemaker.admin import server as server_module
from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import fetch_page
from pacemaker.admin.listening import address_of, listen, release_listener
from pacemaker.admin.routes import HttpRequest, HttpResponse, text_response
from pacemaker.admin.server import MAX_CONNECTIONS, AdminServer

pytestmark = pytest.mark.io

GIVE_UP_S = 60.0


# Slices of a page that takes minutes, but not for ever: the test of it may fail.
MANY = 500_000


def work() -> None:
    """Take so long that the page counts as a long one."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2 * server_module.BODY_SLICE_S:
        pass


class Pages:
    """Answers with what was asked; pages of some names behave badly."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []
        self.is_stuck = threading.Event()
        self.go_on = threading.Event()
        # Of the page /long: how often it has begun, how many are beyond their
        # beginning, the most at the same time, and whether one was left.
        self.begun = threading.Semaphore(0)
        self.beyond = self.most_beyond = 0
        self.is_left = threading.Event()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        self.asked.append(request)
        if request.target == "/raise":
            raise RuntimeError("as asked for")
        if request.target == "/raise-late":
            return HttpResponse(200, "text/plain", self._broken())
        if request.target == "/wait":
            self.is_stuck.set()
            assert self.go_on.wait(GIVE_UP_S)
        if request.target == "/long":
            return HttpResponse(200, "text/plain", self._long())
        if request.target == "/endless":
            return HttpResponse(200, "text/plain", self._endless())
        return text_response(200, request.target)

    def _long(self) -> Iterator[bytes]:
        self.begun.release()
        work()
        yield b"a beginning"
        self.beyond += 1
        self.most_beyond = max(self.most_beyond, self.beyond)
        self.is_stuck.set()
        assert self.go_on.wait(GIVE_UP_S)
        self.beyond -= 1
        yield b" and an end"

    def _endless(self) -> Iterator[bytes]:
        self.is_stuck.set()
        try:
            for _ in range(MANY):
                work()
                yield b""
        except GeneratorExit:
            self.is_left.set()
            raise

    def _broken(self) -> Iterator[bytes]:
        yield b"a slice"
        raise RuntimeError("as asked for")


class Running:
    """A server that runs, and its pages."""

    def __init__(self, address: AdminAddress, deadline_s: float = GIVE_UP_S) -> None:
        self.pages = Pages()
        self.listener = listen(address)
        self.address = address_of(self.listener)
        self.server = AdminServer(self.listener, self.pages.answer, deadline_s)
        self.server.start()

    def connect(self) -> socket.socket:
        """Open a connection that says nothing."""
        connection = socket.create_connection((self.address.host, self.address.port))
        connection.settimeout(GIVE_UP_S)
        return connection

    def close(self) -> None:
        """End it."""
        self.pages.go_on.set()
        self.server.stop()
        release_listener(self.listener)


@pytest.fixture
def running() -> Iterator[Running]:
    """Run a server on a free port."""
    running = Running(AdminAddress("127.0.0.1", 0))
    with contextlib.closing(running):
        yield running


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send bytes; return everything up to the end of the stream."""
    connection.sendall(data)
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_page_comes_with_its_length_and_the_end(running: Running) -> None:
    """One connection has one request, so nothing waits behind another."""
    with running.connect() as connection:
        reply = exchange(connection, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert reply.count(b"HTTP/1.1 200 OK") == 1
    assert b"Content-Length: 3\r\n" in reply
    assert reply.endswith(b"Connection: close\r\n\r\n/a\n")
    assert running.pages.asked == [HttpRequest("GET", "/a", "x")]


def test_head_has_no_body(running: Running) -> None:
    """But the same length."""
    with running.connect() as connection:
        reply = exchange(connection, b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"Content-Length: 3\r\n" in reply
    assert reply.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x0f\x08\x00\x01\r\n\r\n",
        b"<evil> /a HTTP/1.1\r\n\r\n",
        b"BREW /<evil> HTTP/1.1\r\n\r\n",
        b"GET /<evil>" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\n" + b"evil: 1\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_request_is_refused(running: Running, data: bytes) -> None:
    """Without a word of what was sent, and without a line in the log."""
    with running.connect() as connection:
        try:
            reply = exchange(connection, data)
        except ConnectionError:
            reply = b""  # Refused before all of it was read.
    assert b"evil" not in reply
    assert fetch_page(running.address, "/a", GIVE_UP_S).text == "/a\n"


def test_our_client_asks_by_no_name(running: Running) -> None:
    """So `why` may ask by the names in pacemaker.servers that endpoints do not know."""
    fetch_page(running.address, "/a", GIVE_UP_S)
    assert running.pages.asked == [HttpRequest("GET", "/a", "localhost")]


@pytest.mark.parametrize("target", ["/raise", "/raise-late"])
def test_page_that_fails_is_a_bug_of_ours(
    running: Running, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets 500, the log the traceback, and the next client its page."""
    answer = fetch_page(running.address, target, GIVE_UP_S)
    assert (answer.status, answer.text) == (500, "a bug in the daemon: see its log\n")
    assert "as asked for" in caplog.text
    assert fetch_page(running.address, "/a", GIVE_UP_S).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET /page",
        b"GET /page HTTP/1.1\r\n",
        b"GET /page HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /page HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
def test_part_of_a_request_is_not_answered(running: Running, data: bytes) -> None:
    """A client that has left, or was ended, costs no page."""
    with running.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert running.pages.asked == []


def test_long_pages_are_made_one_at_a_time(running: Running) -> None:
    """Short ones are answered meanwhile."""
    pages = running.pages
    with ThreadPoolExecutor(2) as clients:
        asked = [
            clients.submit(fetch_page, running.address, "/long", GIVE_UP_S)
            for _ in range(2)
        ]
        for _ in asked:
            assert pages.begun.acquire(timeout=GIVE_UP_S)
        assert pages.is_stuck.wait(GIVE_UP_S)
        assert fetch_page(running.address, "/page", GIVE_UP_S).text == "/page\n"
        pages.go_on.set()
        assert {each.result().text for each in asked} == {"a beginning and an end"}
    assert pages.most_beyond == 1


def test_long_page_of_a_client_that_has_left_is_given_up(running: Running) -> None:
    """It would be made for nobody."""
    with running.connect() as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert running.pages.is_stuck.wait(GIVE_UP_S)
    assert running.pages.is_left.wait(GIVE_UP_S)


def test_silent_connections_make_room(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is closed, and whoever asks is served."""
    monkeypatch.setattr(server_module, "EVICTION_GRACE_S", 0.01)
    with contextlib.ExitStack() as opened:
        silent = [
            opened.enter_context(running.connect()) for _ in range(3 * MAX_CONNECTIONS)
        ]
        assert fetch_page(running.address, "/a", GIVE_UP_S).status == 200
        assert silent[0].recv(1) == b""


def test_no_more_than_so_many_are_answered_at_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait in the kernel's backlog, and are answered later."""
    monkeypatch.setattr(server_module, "EVICTION_GRACE_S", GIVE_UP_S)
    with contextlib.ExitStack() as opened:
        for _ in range(MAX_CONNECTIONS):
            connection = opened.enter_context(running.connect())
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            assert running.pages.is_stuck.wait(GIVE_UP_S)
            running.pages.is_stuck.clear()
        with running.connect() as late:
            late.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            late.settimeout(0.1)
            with pytest.raises(TimeoutError):
                late.recv(1)
            running.pages.go_on.set()
            late.settimeout(GIVE_UP_S)
            assert late.recv(8) == b"HTTP/1.1"


def test_slow_client_is_ended_at_its_deadline() -> None:
    """It sends a byte now and then, so no single read takes long."""
    running = Running(AdminAddress("127.0.0.1", 0), deadline_s=0.3)
    with contextlib.closing(running), running.connect() as connection:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 10_000:
                connection.sendall(b"G")
                connection.settimeout(0.02)
                sent += 1
                with contextlib.suppress(TimeoutError):
                    if connection.recv(1) == b"":
                        break
        assert sent < 10_000
        assert running.pages.asked == []


def test_server_leaves_nothing_behind(tmp_path: Path) -> None:
    """No thread, no descriptor and no file."""
    threads = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    address = AdminAddress(path=str(tmp_path / "admin"))
    for _ in range(5):
        running = Running(address)
        fetch_page(address, "/a", GIVE_UP_S)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(address.path)
            running.close()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert list(tmp_path.iterdir()) == []


def test_unix_socket_is_for_its_user_alone(tmp_path: Path) -> None:
    """Its mode says so, and pages are told that the client is trusted."""
    path = tmp_path / "admin"
    running = Running(AdminAddress(path=str(path)))
    with contextlib.closing(running):
        assert path.stat().st_mode & 0o777 == 0o600
        assert fetch_page(running.address, "/a", GIVE_UP_S).status == 200
    assert running.pages.asked[0].is_private
