"""Tests of pacemaker.client.requests: against the bytes that Storm's client writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.client import requests
from pacemaker.client.requests import MAX_MESSAGE_ID, Request
from pacemaker.errors import OutOfPlaceError
from pacemaker.wire import messages
from pacemaker.wire.messages import Data, Message, Nodes, Pulse
from tests.golden import GOLDEN
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

BY_PATH: dict[Type, Callable[[str], Request[Any]]] = {
    Type.CREATE_PATH: requests.create_path,
    Type.EXISTS: requests.exists,
    Type.GET_PULSE: requests.get_pulse,
    Type.GET_ALL_NODES_FOR_PATH: requests.list_nodes,
    Type.DELETE_PATH: requests.delete_path,
    Type.DELETE_PULSE_ID: requests.delete_pulse,
}


def test_requests_are_storms_bytes() -> None:
    """The two requests of the golden table are written as Storm 2.8.3 writes them."""
    assert requests.send_pulse("/a", b"xy").frame(5) == GOLDEN["SEND_PULSE"][1]
    assert requests.get_pulse("/a").frame(7) == GOLDEN["GET_PULSE"][1]


@pytest.mark.parametrize("kind", BY_PATH)
@given(path=st.text(), message_id=st.integers(0, MAX_MESSAGE_ID))
def test_request_has_its_type_path_and_id(
    kind: Type, path: str, message_id: int
) -> None:
    """A request of a path is the frame that its layout says, under any id."""
    request = BY_PATH[kind](path)
    assert request.name == kind.name
    frame = request.frame(message_id)
    assert frame == wire.path_request(kind, path, message_id)
    assert request.body_bytes == len(frame) - 4


@given(details=st.binary())
def test_pulse_is_sent_as_it_is(details: bytes) -> None:
    """A heartbeat's bytes are in the frame, whatever they are."""
    frame = requests.send_pulse("/w/é", details).frame(0)
    assert frame == wire.send_pulse("/w/é", details, 0)


@pytest.mark.parametrize("kind", BY_PATH)
def test_reply_type_is_the_requests(kind: Type) -> None:
    """To each request the reply of its own name is due."""
    reply_name = messages.name_of(BY_PATH[kind]("/a").reply_type)
    assert reply_name == f"{kind.name}_RESPONSE"


def test_path_that_is_no_unicode_is_refused_when_it_is_made() -> None:
    """A lone surrogate is the caller's error, before anything is sent."""
    with pytest.raises(ValueError, match="surrogates"):
        requests.get_pulse("/\ud800")


@pytest.mark.parametrize(
    ("request_", "data", "answer"),
    [
        (requests.get_pulse("/a"), Pulse("/a", b"x"), b"x"),
        (requests.get_pulse("/a"), Pulse("/a", b""), b""),
        (requests.get_pulse("/a"), Pulse("/a", None), None),
        (requests.exists("/a"), True, True),
        (requests.exists("/a"), False, False),
        (requests.list_nodes("/a"), Nodes(["b", "a"]), ["b", "a"]),
        (requests.list_nodes("/a"), Nodes(None), []),
        (requests.send_pulse("/a", b""), None, None),
        (requests.delete_path("/a"), "odd", None),
    ],
)
def test_answer_is_read(request_: Request[Any], data: Data, answer: object) -> None:
    """The data of a reply become the answer of the request."""
    assert request_.read(data) == answer


@pytest.mark.parametrize(
    ("request_", "data"),
    [
        (requests.get_pulse("/a"), None),
        (requests.get_pulse("/a"), Pulse("/b", b"x")),
        (requests.get_pulse("/a"), "/a"),
        (requests.exists("/a"), None),
        (requests.exists("/a"), "true"),
        (requests.list_nodes("/a"), None),
        (requests.list_nodes("/a"), Pulse("/a", None)),
    ],
)
def test_data_of_another_kind_are_refused(request_: Request[Any], data: Data) -> None:
    """A reply whose data cannot be the request's answer is the server's error."""
    with pytest.raises(OutOfPlaceError):
        request_.read(data)


def test_only_heartbeats_may_be_held() -> None:
    """A server that was just started holds reads of heartbeats, and nothing else."""
    held = [kind for kind, make in BY_PATH.items() if make("/a").may_be_held]
    assert held == [Type.GET_PULSE]
    assert Message(messages.GET_PULSE).type == Type.GET_PULSE
