"""Tests of pacemaker.wire.protocol_sniffing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pacemaker.errors import FrameError
from pacemaker.wire.frames import FrameReader
from tests.cutting import same_however_it_arrives

MAX_BODY_BYTES = 10485760
# The beginnings of streams that were recorded from each kind of program.
STRANGERS = [
    (b"GET / HTTP/1.1\r\nHost: pm1:6699\r\n\r\n", "an HTTP request"),
    (b"POST /api HTTP/1.1\r\n", "an HTTP request"),
    (b"HEAD / HTTP/1.0\r\n", "an HTTP request"),
    (b"OPTIONS * HTTP/1.1\r\n", "an HTTP request"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "an HTTP/2 client"),
    (b"HTTP/1.1 400 Bad Request\r\n", "an HTTP response"),
    (bytes.fromhex("1603010200010001fc0303"), "a TLS handshake"),
    (bytes.fromhex("15030300020228"), "a TLS alert"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH"),
    (b"PROXY TCP4 10.0.0.1 10.0.0.2 5 6699\r\n", "a PROXY protocol header"),
    (bytes.fromhex("0d0a0d0a000d0a515549540a"), "a PROXY protocol header"),
    (b"ruok", "text"),
    (b"\r\nquit\r\n", "text"),
]


def read_all(pieces: Iterable[bytes]) -> None:
    """Read what comes piece by piece."""
    frames = FrameReader(MAX_BODY_BYTES)
    for piece in pieces:
        frames.receive(piece)
        frames.next()


@pytest.mark.parametrize(("first", "name"), STRANGERS)
def test_stranger_is_named_however_its_bytes_arrive(first: bytes, name: str) -> None:
    """The error of the length says what the peer speaks, from four bytes on."""

    def likenesses(pieces: Iterable[bytes]) -> str:
        with pytest.raises(FrameError) as caught:
            read_all(pieces)
        assert caught.value.reason == "frame length out of range"
        return caught.value.detail.partition("; ")[2]

    assert same_however_it_arrives(first, likenesses) == f"it looks like {name}"


@pytest.mark.parametrize("first", [bytes.fromhex("7fffffff0800"), b"\xff" * 16])
def test_unknown_bytes_are_not_given_a_name(first: bytes) -> None:
    """A length that is only wrong is told as it is."""
    frames = FrameReader(MAX_BODY_BYTES)
    frames.receive(first)
    with pytest.raises(FrameError) as caught:
        frames.next()
    assert "looks like" not in str(caught.value)


def test_peer_that_has_sent_a_frame_is_no_stranger() -> None:
    """What follows a good frame is damage, whatever it looks like."""
    frames = FrameReader(MAX_BODY_BYTES)
    frames.receive(b"\0\0\0\1\0GET / HTTP/1.1")
    assert frames.next() is not None
    with pytest.raises(FrameError) as caught:
        frames.next()
    assert "looks like" not in str(caught.value)
