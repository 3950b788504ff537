"""Tests of benchmarks.isolation.wire, against the daemon's own codec."""

from __future__ import annotations

from benchmarks.isolation import wire
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Message, Pulse


def decoded(frame: bytes) -> Message:
    """Return the message of a whole frame."""
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return messages.decode(frame[4:], 1000)


def test_pulse_is_what_the_codec_writes() -> None:
    """Byte by byte."""
    expected = messages.encode(Message(messages.SEND_PULSE, Pulse("/a", b"xy"), 5))
    assert wire.pulse(b"/a", b"xy", 5) == expected


def test_requests_are_what_the_codec_writes() -> None:
    """Reads, lists and deletes differ in their type alone."""
    for kind in (wire.GET_PULSE, wire.LIST_NODES, wire.DELETE_PATH):
        expected = messages.encode(Message(kind, "/a", 7))
        assert wire.path_request(kind, b"/a", 7) == expected


def test_replies_are_what_the_codec_writes() -> None:
    """A hit, a miss, and one without data."""
    hit = Message(messages.GET_PULSE_RESPONSE, Pulse("/a", b"xy"), 7)
    miss = Message(messages.GET_PULSE_RESPONSE, Pulse("/a", None), 7)
    assert wire.get_pulse_reply(b"/a", b"xy", 7) == messages.encode(hit)
    assert wire.get_pulse_reply(b"/a", None, 7) == messages.encode(miss)
    done = Message(messages.SEND_PULSE_RESPONSE, None, 7)
    assert wire.message(wire.SEND_PULSE_RESPONSE, b"", 7) == messages.encode(done)


def test_type_and_id_are_read_from_a_reply() -> None:
    """Wherever the data between them ends."""
    reply = wire.get_pulse_reply(b"/a", b"xy", 2**31 - 1)
    assert wire.read_kind(reply) == wire.GET_PULSE_RESPONSE
    assert wire.read_id(reply) == 2**31 - 1
    assert wire.read_kind(b"short") == -1


def test_token_request_begins_an_exchange() -> None:
    """It is the control message that Storm's clients send."""
    asked = control.control_message(control.SASL_TOKEN_MESSAGE_REQUEST)
    assert messages.encode(asked) == wire.TOKEN_REQUEST


def test_token_is_read_as_it_was_written() -> None:
    """With its code and its length."""
    assert control.read_token(decoded(wire.sasl_token(b"abc"))) == b"abc"
