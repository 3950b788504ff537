"""What a relay carries over at an upgrade in place."""

from __future__ import annotations

import zlib

import pytest

from pacemaker.errors import StateError
from pacemaker.relay import relay_state
from pacemaker.relay.relay_state import RelayState


def test_state_is_the_same_afterwards() -> None:
    """Keys, deletes and times are restored."""
    state = RelayState(
        {"127.0.0.1:5": ["/a", "/b"]},
        {"pm1:6699": [("/c", True, 12.5)]},
        {"/a": 1_700_000_000},
    )
    read = relay_state.decode(relay_state.encode(state))
    assert read.keys_by_peer == state.keys_by_peer
    assert [tuple(each) for each in read.deletes["pm1:6699"]] == [("/c", True, 12.5)]
    assert read.times == state.times


def test_no_state_is_an_empty_one() -> None:
    """A `serve` that is upgraded to a relay has no such state."""
    assert relay_state.decode(b"") == RelayState()


@pytest.mark.parametrize(
    "data", [b"x", zlib.compress(b"x"), zlib.compress(b"[]"), zlib.compress(b'{"a":1}')]
)
def test_anything_else_is_refused(data: bytes) -> None:
    """Any invalid data raises the same error."""
    with pytest.raises(StateError):
        relay_state.decode(data)
