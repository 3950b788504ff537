"""The numbers that can be read from a heartbeat without decoding it."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.heartbeats.peek import MAX_BYTES, MAX_COMPRESSED_BYTES, Peek, peek
from tests.heartbeats.by_hand import heartbeat


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("executors", [0, 1, 50])
def test_numbers_are_seen(executors: int, is_long: bool) -> None:
    """As Java of any release writes them, compressed or not."""
    plain = heartbeat(executors, 1_700_000_000, 250, is_long)
    for value in (plain, gzip.compress(plain)):
        assert peek(value) == Peek(executors, 1_700_000_000, 250)


@given(st.binary(max_size=80))
def test_other_bytes_are_no_heartbeat(data: bytes) -> None:
    """Anybody may store anything: it is passed over, not raised."""
    seen = peek(data)
    assert seen is None or len(seen) == 3


def test_what_expands_is_not_looked_at() -> None:
    """A few bytes may become gigabytes."""
    bomb = gzip.compress(bytes(MAX_BYTES + 1))
    assert len(bomb) < MAX_COMPRESSED_BYTES
    assert peek(bomb) is None
    assert peek(bytes(MAX_COMPRESSED_BYTES + 1)) is None
