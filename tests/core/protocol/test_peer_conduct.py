"""Tests of pacemaker.core.protocol.peer_conduct."""

from __future__ import annotations

import logging

import pytest

from pacemaker.core.protocol.peer_conduct import MAX_USELESS_MESSAGES, PeerConduct
from pacemaker.errors import OutOfPlaceError
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Pulse
from tests.core.protocol.conversations import READ, new_protocol, serve
from tests.fake_mechanisms import like_digest
from tests.wire.by_hand import Type, path_request

NO_REQUEST = Message(messages.EXISTS_RESPONSE, True, 1)


def test_message_that_is_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the peer, and the message that is not a request."""
    PeerConduct("peer:1").note_useless(NO_REQUEST)
    assert caplog.messages == ["peer:1: EXISTS_RESPONSE is not a request; ignored"]


def test_only_the_first_of_them_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred of them are tolerated, with one line in the log."""
    conduct = PeerConduct("peer:1")
    for _ in range(MAX_USELESS_MESSAGES):
        conduct.note_useless(NO_REQUEST)
    assert len(caplog.messages) == 1


def test_one_too_many_is_an_error() -> None:
    """The error has the limit, and names the last message."""
    conduct = PeerConduct("peer:1")
    for _ in range(MAX_USELESS_MESSAGES):
        conduct.note_useless(NO_REQUEST)
    with pytest.raises(OutOfPlaceError, match=r"more than 100; the last was EXISTS_R"):
        conduct.note_useless(NO_REQUEST)


def test_unauthenticated_pulse_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Workers never authenticate, and their pulses are nothing unusual."""
    with caplog.at_level(logging.INFO):
        PeerConduct("peer:1").note_unauthenticated(
            Message(messages.SEND_PULSE, Pulse("/a", b""), 1)
        )
    assert not caplog.messages


def test_unauthenticated_reads_and_deletes_are_logged_once_per_kind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However often they come; their paths are escaped and cut."""
    delete = path_request(Type.DELETE_PATH, "/w\n" + "x" * 1000, 1)
    with caplog.at_level(logging.INFO):
        serve(new_protocol(like_digest), [READ * 5, delete * 5, READ])
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        (
            "WARNING",
            "peer:1: refused a read, the peer has not authenticated:"
            " GET_PULSE '/a' (more on this connection are only counted)",
        ),
        (
            "INFO",
            "peer:1: carried out a delete, the peer has not authenticated:"
            f" DELETE_PATH '/w\\n{'x' * 197}'... (1003 characters)"
            " (more on this connection are only counted)",
        ),
    ]
