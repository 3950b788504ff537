"""Tests of core.protocol.outgoing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.protocol.outgoing import MAX_OUTGOING_BYTES, Outgoing
from pacemaker.wire.fast_codec import LARGE_VALUE_BYTES

LARGE = bytes(LARGE_VALUE_BYTES)


def with_chunks(*chunks: bytes) -> Outgoing:
    """Return outgoing replies that consist of these chunks."""
    outgoing = Outgoing()
    for chunk in chunks:
        outgoing.add(chunk)
    return outgoing


def test_what_is_taken_is_forgotten() -> None:
    """Each reply leaves once."""
    outgoing = with_chunks(b"a")
    assert list(outgoing.take()) == [b"a"]
    assert (list(outgoing.take()), outgoing.size_bytes) == ([], 0)


def test_only_small_neighbours_are_joined() -> None:
    """A large chunk is not copied."""
    taken = with_chunks(b"a", b"b", LARGE, LARGE, b"c").take()
    assert list(taken) == [b"ab", LARGE, LARGE, b"c"]
    assert taken[1] is LARGE


def test_withdrawn_chunks_leave_the_other_indices_valid() -> None:
    """So several can be withdrawn, one after the other."""
    outgoing = with_chunks(b"a", b"bb", b"ccc")
    outgoing.withdraw([0])
    outgoing.withdraw(range(1, 2))
    assert outgoing.size_bytes == 3
    assert list(outgoing.take()) == [b"ccc"]


def test_full_at_the_bound() -> None:
    """Not a byte before."""
    outgoing = with_chunks(bytes(MAX_OUTGOING_BYTES - 1))
    assert not outgoing.is_full
    outgoing.add(b"a")
    assert outgoing.is_full
    outgoing.withdraw([1])
    assert not outgoing.is_full


@given(st.lists(st.sampled_from([b"", b"a", b"bc", LARGE])))
def test_all_bytes_leave_in_order(chunks: list[bytes]) -> None:
    """However they are joined."""
    outgoing = with_chunks(*chunks)
    assert outgoing.size_bytes == sum(map(len, chunks))
    assert b"".join(outgoing.take()) == b"".join(chunks)
