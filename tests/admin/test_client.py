"""The client of an admin endpoint, and endpoints that do not answer as they should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import FetchedPage, fetch_page
from pacemaker.errors import AdminError

pytestmark = pytest.mark.io

GIVE_UP_S = 30.0
PAGE = b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nno\n"


def exchange(
    listener: socket.socket, reply: bytes, ask: Callable[[], FetchedPage]
) -> tuple[FetchedPage, str]:
    """Ask a listener that gives one reply; return the page and the request."""
    received: list[bytes] = []

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(65536))
            connection.sendall(reply)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        page = ask()
    finally:
        thread.join()
    return page, received[0].decode()


def test_page_is_returned_with_its_status() -> None:
    """A daemon that is not well is an answer, and no error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = AdminAddress("127.0.0.1", listener.getsockname()[1])
        page, request = exchange(
            listener, PAGE, lambda: fetch_page(address, "/readyz?verbose", GIVE_UP_S)
        )
    assert page == FetchedPage(503, "no\n")
    assert request.startswith("GET /readyz?verbose HTTP/1.1\r\n")
    assert "Host: localhost\r\n" in request
    assert "Authorization" not in request


def test_token_is_sent_over_a_unix_socket_too(tmp_path: Path) -> None:
    """Whoever has the socket's directory need not be allowed everything."""
    address = AdminAddress(path=str(tmp_path / "admin"))
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(address.path)
        listener.listen()
        _, request = exchange(
            listener, PAGE, lambda: fetch_page(address, "/history", GIVE_UP_S, "s3cret")
        )
    assert "Authorization: Bearer s3cret\r\n" in request


def test_client_says_why_there_is_no_answer(tmp_path: Path) -> None:
    """The endpoint, the reason, and what to look at."""
    address = AdminAddress(path=str(tmp_path / "admin"))
    with pytest.raises(AdminError, match=r"No such file.*--admin"):
        fetch_page(address, "/a", GIVE_UP_S)


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "\udcff", "a b", "a\n"])
def test_host_that_is_no_name_is_an_error(host: str) -> None:
    """Neither IDNA nor http.client takes every text that an address may have."""
    with pytest.raises(AdminError, match="this is not a host name"):
        fetch_page(AdminAddress(host, 6698), "/a", GIVE_UP_S)


def test_answer_that_is_no_http_is_an_error() -> None:
    """Another program may have the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = AdminAddress("127.0.0.1", other.getsockname()[1])

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x00\x00\x00\x0f\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(AdminError):
            fetch_page(address, "/a", GIVE_UP_S)
        thread.join()
