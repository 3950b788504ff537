"""Accepting connections while the GIL is kept."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack

import pytest

from pacemaker.server.io.accepting import accept

pytestmark = pytest.mark.io


def _listener(host: str, **options: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family, **options)
    except OSError as exc:
        pytest.skip(f"no {host} here: {exc}")
    listener.setblocking(False)
    return listener


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connection_is_as_if_accepted_by_its_listener(host: str) -> None:
    """It has the same addresses and family, does not block and is not inherited."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listener(host))
        peer = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
        sock, address = accept(listener)
        stack.enter_context(sock)
        assert address == peer.getsockname()[:2]
        assert sock.getpeername() == peer.getsockname()
        assert sock.family == peer.family
        assert not os.get_blocking(sock.fileno())
        assert not os.get_inheritable(sock.fileno())


def test_connection_to_both_families_has_a_mapped_address() -> None:
    """The caller turns it into the address of IPv4."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("no socket of both families here")
    with ExitStack() as stack:
        listener = stack.enter_context(_listener("::", dualstack_ipv6=True))
        target = ("127.0.0.1", listener.getsockname()[1])
        peer = stack.enter_context(socket.create_connection(target))
        sock, address = accept(listener)
        stack.enter_context(sock)
        assert address == ("::ffff:127.0.0.1", peer.getsockname()[1])


def test_nothing_to_accept_is_no_connection() -> None:
    """It does not wait for one."""
    with _listener("127.0.0.1") as listener, pytest.raises(BlockingIOError):
        accept(listener)


def test_error_has_its_number() -> None:
    """The acceptor decides by it what to do."""
    with (
        socket.socket() as sock,
        pytest.raises(OSError, match="Invalid argument") as failed,
    ):
        accept(sock)
    assert failed.value.errno == errno.EINVAL
