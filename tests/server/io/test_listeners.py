"""The listening sockets: opened by the daemon, or handed over to it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pacemaker.errors import ListenError
from pacemaker.server.io import limits, listeners, sockets
from pacemaker.server.io.listeners import describe, describe_scope, open_listeners

pytestmark = pytest.mark.io


def open_listener(
    bind: str | None, port: int, environ: dict[str, str]
) -> socket.socket:
    """Return the one socket that listens."""
    (listener,) = open_listeners(bind, port, environ)
    return listener


def _accepted(listener: socket.socket, host: str) -> socket.socket:
    port = listener.getsockname()[1]
    with socket.create_connection((host, port)):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        return accepted


def test_listener_gives_storms_options_to_connections() -> None:
    """Accepted connections have TCP_NODELAY, SO_KEEPALIVE and SO_LINGER 0."""
    with (
        open_listener("127.0.0.1", 0, {}) as listener,
        _accepted(listener, "127.0.0.1") as accepted,
    ):
        sol, tcp = socket.SOL_SOCKET, socket.IPPROTO_TCP
        assert accepted.getsockopt(tcp, socket.TCP_NODELAY)
        assert accepted.getsockopt(sol, socket.SO_KEEPALIVE)
        linger = accepted.getsockopt(sol, socket.SO_LINGER, 8)
        assert linger == (1).to_bytes(4, "little") + bytes(4)
        # The kernel doubles what it grants, at most net.core.wmem_max.
        allowed = int(Path("/proc/sys/net/core/wmem_max").read_text())
        granted = 2 * min(limits.SEND_BUFFER_BYTES, allowed)
        assert accepted.getsockopt(sol, socket.SO_SNDBUF) == granted


def test_silent_connection_is_accepted_after_one_that_has_sent_something() -> None:
    """The kernel keeps it out of the backlog for a second, so it delays nobody."""
    with open_listener("127.0.0.1", 0, {}) as listener, contextlib.ExitStack() as open_:
        address = listener.getsockname()
        silent = open_.enter_context(socket.create_connection(address))
        speaking = open_.enter_context(socket.create_connection(address))
        speaking.send(b"x")
        listener.settimeout(10)
        accepted = [open_.enter_context(listener.accept()[0]) for _ in range(2)]
        peers = [one.getpeername() for one in accepted]
        assert peers == [speaking.getsockname(), silent.getsockname()]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_listener_takes_both_families_by_default(host: str) -> None:
    """One socket serves IPv4 and IPv6, if the machine has both."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    with open_listener(None, 0, {}) as listener, _accepted(listener, host):
        assert listeners.describe(listener).startswith("[::]:")


def test_listener_takes_ipv4_alone_where_there_is_no_ipv6(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without IPv6 the wildcard address of IPv4 is bound."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with open_listener(None, 0, {}) as listener, _accepted(listener, "127.0.0.1"):
        assert listeners.describe(listener).startswith("0.0.0.0:")


def test_listener_names_address_where_an_option_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the kernel refuses an option, the error names the address; no socket stays."""

    def refuse(connection: socket.socket, reset: bool) -> None:
        raise OSError(errno.ENOPROTOOPT, "as asked for")

    monkeypatch.setattr(sockets, "set_reset_on_close", refuse)
    with pytest.raises(ListenError, match=r"127\.0\.0\.1:\d+.*not available"):
        open_listener("127.0.0.1", 0, {})


def test_listener_names_port_that_is_taken() -> None:
    """If the port is in use, the error names the address."""
    with open_listener("127.0.0.1", 0, {}) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            open_listener("127.0.0.1", port, {})
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use"
    )


@pytest.mark.parametrize(
    "bind", ["192.0.2.1", "no-such-host.invalid", "a..b", "x" * 300]
)
def test_listener_names_address_that_is_not_here(bind: str) -> None:
    """An address that no interface has, or an invalid one, is a ListenError."""
    with pytest.raises(ListenError, match="cannot listen on"):
        open_listener(bind, 0, {})


def _environ(**values: str) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", **values}


def test_handed_over_socket_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket from LISTEN_FDS is used, whatever address and port were requested."""
    with socket.create_server(("127.0.0.1", 0)) as kept:
        port = kept.getsockname()[1]
        monkeypatch.setattr(listeners, "LISTEN_FDS_START", os.dup(kept.fileno()))
        environ = _environ()
        with open_listener("192.0.2.1", 1, environ) as listener:
            assert listener.getsockname() == ("127.0.0.1", port)
            assert not listener.get_inheritable()
        assert environ == {}, "a child of ours would believe it was meant"


@pytest.mark.parametrize(
    "values",
    [
        {"LISTEN_PID": "1"},
        {"LISTEN_FDS": "0"},
        {"LISTEN_FDS": "x"},
        {"LISTEN_FDS": "²"},
    ],
)
def test_handover_to_somebody_else_is_not_taken(values: dict[str, str]) -> None:
    """LISTEN_FDS for another process, or of no sockets, is ignored."""
    with open_listener("127.0.0.1", 0, _environ(**values)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_handed_over_socket_that_does_not_listen_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A descriptor that is not a listening socket stops the start, with the reason."""
    with socket.socket() as idle:
        monkeypatch.setattr(listeners, "LISTEN_FDS_START", idle.fileno())
        with pytest.raises(ListenError, match="it is not a listening socket"):
            open_listener(None, 0, _environ())


def test_handed_over_descriptor_that_is_no_socket_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A descriptor of a file stops the start, with the reason."""
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(listeners, "LISTEN_FDS_START", file.fileno())
        with pytest.raises(ListenError, match=rf"descriptor {file.fileno()}: "):
            open_listener(None, 0, _environ())


def test_small_backlog_is_logged(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """If the kernel limits the backlog, the log says which value would be enough."""
    somaxconn = tmp_path / "somaxconn"
    somaxconn.write_text("128\n")
    listeners.check_backlog(somaxconn)
    assert (
        "net.core.somaxconn=128 limits the listen backlog; raise it to 4096"
        in caplog.text
    )
    somaxconn.write_text("4096\n")
    caplog.clear()
    listeners.check_backlog(somaxconn)
    listeners.check_backlog(tmp_path / "none")
    assert not caplog.text


def _found(*hosts: str) -> Callable[..., list[tuple[object, ...]]]:
    """Return a look-up that finds these hosts, each at the requested port."""

    def look_up(host: str, port: int, **kwargs: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, port, 0, 0))
            if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in hosts
        ]

    return look_up


def _close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def test_name_is_listened_on_at_all_its_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each address is used once, and all have the same port, even a free one."""
    hosts = ("::1", "127.0.0.1", "127.0.0.1", "127.0.0.2")
    monkeypatch.setattr(socket, "getaddrinfo", _found(*hosts))
    listeners = open_listeners("localhost", 0, {})
    port = listeners[0].getsockname()[1]
    assert [describe(each) for each in listeners] == [
        f"[::1]:{port}",
        f"127.0.0.1:{port}",
        f"127.0.0.2:{port}",
    ]
    _close(listeners)


def test_address_that_this_machine_has_not_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """::1 in a container without IPv6 is skipped; if none is left, that is an error."""
    caplog.set_level("INFO")
    monkeypatch.setattr(socket, "getaddrinfo", _found("192.0.2.1", "127.0.0.1"))
    with open_listener("localhost", 0, {}) as listener:
        assert describe(listener).startswith("127.0.0.1:")
    assert "not listening on 192.0.2.1: Cannot assign requested" in caplog.text
    monkeypatch.setattr(socket, "getaddrinfo", _found("192.0.2.1", "198.51.100.1"))
    with pytest.raises(ListenError, match="localhost:0: Cannot assign requested"):
        open_listeners("localhost", 0, {})


def test_port_that_is_taken_at_one_address_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The daemon does not serve only some of the addresses; nothing stays open."""
    monkeypatch.setattr(socket, "getaddrinfo", _found("127.0.0.1", "127.0.0.2"))
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  (Path opens one more)
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match="Address already in use"):
            open_listeners("localhost", port, {})
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("bind", "said"),
    [
        ("::", "[::]:{} (IPv6 only)"),
        ("0.0.0.0", "0.0.0.0:{} (IPv4 only)"),
        ("[::1]", "[::1]:{}"),
        ("127.0.0.1", "127.0.0.1:{}"),
    ],
)
def test_listener_says_which_families_it_takes(bind: str, said: str) -> None:
    """The address alone does not tell for a wildcard; brackets are accepted."""
    with open_listener(bind, 0, {}) as listener:
        port = listener.getsockname()[1]
        assert describe(listener) + describe_scope(listener) == said.format(port)


def test_listener_of_both_families_says_so() -> None:
    """This is the default, if the machine has both families."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    with open_listener(None, 0, {}) as listener:
        assert describe_scope(listener) == " (IPv4 and IPv6)"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> int:
    """Expect handed-over sockets at free descriptors; return the first of these."""
    monkeypatch.setattr(listeners, "LISTEN_FDS_START", 200)
    return 200


def test_every_socket_that_was_handed_over_is_used(place: int) -> None:
    """The sockets of IPv4 and IPv6 units are used in their order."""
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as second,
    ):
        names = [first.getsockname(), second.getsockname()]
        os.dup2(first.fileno(), place)
        os.dup2(second.fileno(), place + 1)
    listeners = open_listeners(None, 0, _environ(LISTEN_FDS="2"))
    assert [each.getsockname() for each in listeners] == names
    assert [each.fileno() for each in listeners] == [place, place + 1]
    _close(listeners)


def test_what_cannot_be_served_is_closed_and_named(
    place: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No gap is left in the descriptors: an upgrade needs the first numbers."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        socket.create_server(("127.0.0.1", 0)) as served,
    ):
        name = served.getsockname()
        os.dup2(datagram.fileno(), place)
        os.dup2(served.fileno(), place + 1)
    # Nothing is open at the third.
    with open_listener(None, 0, _environ(LISTEN_FDS="3")) as listener:
        assert (listener.getsockname(), listener.fileno()) == (name, place)
        assert not listener.get_inheritable()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(place + 1)
    closed = "the handed-over descriptor 200: it is not a listening socket"
    assert f"cannot listen on {closed} of IPv4 or IPv6; it is closed" in caplog.messages
    assert "descriptor 202: Bad file descriptor; it is closed" in caplog.text


def test_handover_without_any_listening_socket_is_refused(place: int) -> None:
    """The requested port is not opened instead."""
    with pytest.raises(ListenError, match="any of the 2 handed-over descriptors"):
        open_listeners("127.0.0.1", 0, _environ(LISTEN_FDS="2"))


def test_handover_to_a_wrapper_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """The error explains that a wrapper shell has kept the socket for itself."""
    with open_listener("127.0.0.1", 0, _environ(LISTEN_PID="1")):
        pass
    assert "LISTEN_PID is '1' and this process is" in caplog.text
    assert "by `exec`" in caplog.text
