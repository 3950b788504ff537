"""Replies that the kernel has taken only in part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.server.io.chunks import drop_sent


@given(
    st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=5), st.integers(0)
)
def test_rest_follows_what_was_sent(chunks: list[bytes], sent_bytes: int) -> None:
    """No byte is lost or sent twice, wherever the kernel has stopped."""
    whole = b"".join(chunks)
    sent_bytes %= len(whole) + 1
    rest = drop_sent(chunks, sent_bytes)
    assert b"".join(rest) == whole[sent_bytes:]
    assert all(rest)


def test_rest_is_not_copied() -> None:
    """A reply of megabytes that is taken in small parts is not copied for each."""
    chunk = bytes(100)
    (rest,) = drop_sent([chunk], 40)
    assert isinstance(rest, memoryview)
    assert rest.obj is chunk
