"""Tests of pacemaker.server.io.fairness.fair_queue."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.server.io.fairness.fair_queue import FairQueue


def queue_of(*items: tuple[str, int]) -> FairQueue[int]:
    """Make a queue with room for some items."""
    queue: FairQueue[int] = FairQueue(100, 1000)
    for address, item in items:
        assert queue.put(address, item)
    return queue


def begun_one_by_one(queue: FairQueue[int]) -> Iterable[tuple[str, int]]:
    """Yield the items, each done before the next one begins."""
    while (begun := queue.begin()) is not None:
        yield begun
        queue.done(begun[0])


def test_items_of_one_address_come_in_order() -> None:
    """Items of one address are returned in order."""
    items = [("a", number) for number in range(5)]
    assert list(begun_one_by_one(queue_of(*items))) == items


def test_addresses_take_turns() -> None:
    """An address with one item waits for only one item of an address with many."""
    queue = queue_of(*(("many", number) for number in range(50)), ("few", 99))
    assert [address for address, _ in begun_one_by_one(queue)][:3] == [
        *("many", "few", "many")
    ]


def test_address_has_one_item_under_way() -> None:
    """The next item of an address begins when the one before it is done."""
    queue = queue_of(("a", 1), ("a", 2), ("b", 3))
    assert queue.begin() == ("a", 1)
    assert queue.begin() == ("b", 3)
    assert queue.begin() is None
    queue.done("a")
    assert queue.begin() == ("a", 2)


def test_item_that_comes_while_one_is_under_way_waits() -> None:
    """An address without waiting items is remembered while one of its items runs."""
    queue = queue_of(("a", 1))
    queue.begin()
    queue.put("a", 2)
    assert queue.begin() is None
    queue.done("a")
    assert queue.begin() == ("a", 2)


def test_queue_has_room_for_some_items_of_an_address() -> None:
    """An address that has filled its part leaves the rest to the others."""
    queue: FairQueue[int] = FairQueue(max_of_address=2, max_items=100)
    assert [queue.put("a", number) for number in range(3)] == [True, True, False]
    assert not queue.is_full
    assert queue.put("b", 0)
    queue.begin()
    assert queue.put("a", 3)


def test_queue_has_room_for_some_items_altogether() -> None:
    """The queue is bounded even with thousands of addresses."""
    queue: FairQueue[int] = FairQueue(max_of_address=2, max_items=3)
    assert [queue.put(str(number), number) for number in range(4)] == [
        *(True, True, True, False)
    ]
    assert queue.is_full
    assert "3" not in queue._waiting


@given(st.lists(st.tuples(st.sampled_from("pbd"), st.sampled_from("xyz"))))
def test_queue_keeps_its_promises(steps: list[tuple[str, str]]) -> None:
    """In any order of calls, each address has one item at a time and none is lost."""
    queue: FairQueue[int] = FairQueue(3, 6)
    put, begun = 0, 0
    under_way: list[str] = []
    for what, address in steps:
        if what == "p":
            put += queue.put(address, put)
        elif what == "b" and (item := queue.begin()) is not None:
            assert item[0] not in under_way
            under_way.append(item[0])
            begun += 1
        elif what == "d" and address in under_way:
            under_way.remove(address)
            queue.done(address)
        assert len(queue) == put - begun
    for address in under_way:
        queue.done(address)
    assert len(list(begun_one_by_one(queue))) == put - begun
    assert not queue._waiting
