"""What is done with the memory of deleted heartbeats and of emptied buffers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pacemaker.core.accounts.account import Account
from pacemaker.core.store.store import Store
from pacemaker.server.io.buffers.buffer_budget import BufferBudget
from pacemaker.server.process import memory
from pacemaker.server.process.freed_memory import TIDY_BYTES, FreedMemory


@pytest.fixture
def returned(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows whenever pages are returned to the system."""
    returned: list[bool] = []
    monkeypatch.setattr(memory, "return_free_pages", lambda: returned.append(True))
    return returned


def test_pages_are_returned_for_much_that_was_freed_in_parts(
    returned: list[bool],
) -> None:
    """Freed memory adds up over several checks until there is enough to return."""
    store, budget = Store(), BufferBudget[str](2**40)
    freed = FreedMemory(store, budget, lambda function: None)
    for checks in range(1, 7):
        store.put("/w/1", bytes(TIDY_BYTES // 2))
        store.delete("/w/1")
        freed.tidy()
        assert len(returned) == checks // 2


def test_buffers_that_were_emptied_count_too(returned: list[bool]) -> None:
    """A peer's large frame leaves as much behind as a large heartbeat."""
    budget = BufferBudget[str](2**40)
    freed = FreedMemory(Store(), budget, lambda function: None)
    budget.update("holder", Account("a"), TIDY_BYTES, 1.0)
    freed.tidy()
    assert not returned
    budget.update("holder", Account("a"), 0, 2.0)
    freed.tidy()
    assert returned


def test_deleted_data_is_freed_in_slices_by_the_io_thread(
    returned: list[bool],
) -> None:
    """Each slice queues the next one, so that requests are answered in between."""
    store = Store()
    calls: list[Callable[[], None]] = []
    for number in range(20_000):
        store.put(f"/w/{number}", b"beat")
    store.delete_all("/w")
    FreedMemory(store, BufferBudget[str](2**40), calls.append).tidy()
    slices = 0
    while calls:
        assert len(calls) == 1
        calls.pop()()
        slices += 1
    assert slices > 1
    assert not store.reclaim()
