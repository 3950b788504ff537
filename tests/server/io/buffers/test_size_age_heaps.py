"""Tests of pacemaker.server.io.buffers.size_age_heaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.server.io.buffers.size_age_heaps import SizeAgeHeaps, SizedItem

# Number of the item, its size, since when.
_CHANGES = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 3) | st.integers(0, 2000), st.integers(0, 50)
    ),
    max_size=80,
)


def _all_within(heaviest: SizeAgeHeaps[SizedItem]) -> list[SizedItem]:
    """Check that the heaps are valid, and return all their items."""
    found = []
    for bits, heap in heaviest._heaps.items():
        assert heap
        for index, item in enumerate(heap):
            assert item._index == index
            assert item.size_bytes.bit_length() == bits
            assert heap[max(0, index - 1) // 2].since_us <= item.since_us
        found += heap
    return found


def test_nothing_is_heaviest_of_nothing() -> None:
    """Without an item there is no answer."""
    heaviest: SizeAgeHeaps[SizedItem] = SizeAgeHeaps()
    assert not heaviest
    with pytest.raises(ValueError, match="empty"):
        heaviest.heaviest_at(0)


def test_item_without_a_size_is_not_among_them() -> None:
    """A size of 0 removes an item, and has no effect on an unknown one."""
    heaviest, item = SizeAgeHeaps[SizedItem](), SizedItem()
    heaviest.put(item, 0, 7)
    assert not heaviest
    heaviest.put(item, 5, 7)
    assert heaviest
    heaviest.put(item, 0, 8)
    assert not heaviest


def test_large_young_item_becomes_heavier_than_a_small_old_one() -> None:
    """Which item is heaviest changes with time."""
    heaviest, small, large = SizeAgeHeaps[SizedItem](), SizedItem(), SizedItem()
    heaviest.put(small, 10, 0)
    heaviest.put(large, 1000, 100)
    assert heaviest.heaviest_at(100) is small
    assert heaviest.heaviest_at(102) is large


def test_largest_is_heaviest_of_those_without_an_age() -> None:
    """Items without an age, or from after the given time, are compared by size."""
    heaviest, small, large = SizeAgeHeaps[SizedItem](), SizedItem(), SizedItem()
    heaviest.put(large, 1000, 100)
    heaviest.put(small, 10, 90)
    assert heaviest.heaviest_at(90) is large
    assert heaviest.heaviest_at(50) is large


@given(_CHANGES, st.integers(40, 70))
def test_heaviest_is_found_within_a_factor_of_two(
    changes: list[tuple[int, int, int]], now_us: int
) -> None:
    """After any changes, the items are the right ones and none is stale."""
    heaviest: SizeAgeHeaps[SizedItem] = SizeAgeHeaps()
    items = [SizedItem() for _ in range(10)]
    model = dict.fromkeys(range(10), (0, 0))
    for number, size, since_us in changes:
        heaviest.put(items[number], size, since_us)
        model[number] = (size, since_us)
        there = {number for number, (size, _) in model.items() if size}
        assert {items.index(item) for item in _all_within(heaviest)} == there
        if there:
            weights = [s * (max(0, now_us - since) + 1) for s, since in model.values()]
            found = heaviest.heaviest_at(now_us)
            assert found.weight_at(now_us) == weights[items.index(found)]
            assert 2 * found.weight_at(now_us) > max(weights)
