"""The backlog of an I/O thread: who is next."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.accounts import Account
from pacemaker.server.io.backlog import Backlog


@dataclass(eq=False)
class Connection:
    """Stands for a connection."""

    account: Account
    number: int = 0


def _names(backlog: Backlog[Connection]) -> list[tuple[str, int]]:
    names = []
    while (item := backlog.pop()) is not None:
        names.append((item.account.name, item.number))
    return names


def test_account_that_has_spent_least_is_next() -> None:
    """Within an account it is the connection that has waited for longest."""
    backlog: Backlog[Connection] = Backlog()
    greedy, thrifty = Account("greedy"), Account("thrifty")
    greedy.spent_s = 1.0
    for number in range(2):
        backlog.put(Connection(greedy, number))
        backlog.put(Connection(thrifty, number))
    assert len(backlog) == 4
    assert _names(backlog) == [
        *(("thrifty", 0), ("thrifty", 1), ("greedy", 0), ("greedy", 1))
    ]
    assert len(backlog) == 0


def test_what_is_spent_meanwhile_counts() -> None:
    """Two accounts that spend alike take turns."""
    backlog: Backlog[Connection] = Backlog()
    accounts = [Account("a"), Account("b")]
    for number in range(3):
        for account in accounts:
            backlog.put(Connection(account, number))
    order = []
    while (item := backlog.pop()) is not None:
        order.append(item.account.name)
        item.account.spent_s += 1.0
    assert order == ["a", "b"] * 3


def test_account_that_has_been_forgiven_comes_first_again() -> None:
    """After what was spent has faded, the order is that of what is left."""
    backlog: Backlog[Connection] = Backlog()
    first, second = Account("first"), Account("second")
    first.spent_s, second.spent_s = 1.0, 0.5
    backlog.put(Connection(first))
    backlog.put(Connection(second))
    first.spent_s = 0.25
    backlog.reorder()
    assert _names(backlog) == [("first", 0), ("second", 0)]


def test_connection_waits_once_and_may_be_removed() -> None:
    """It is put once however often, and whoever is not there is removed in silence."""
    backlog: Backlog[Connection] = Backlog()
    item, other = Connection(Account("a")), Connection(Account("b"))
    backlog.put(item)
    backlog.put(item)
    backlog.discard(other)
    assert item in backlog
    assert other not in backlog
    assert len(backlog) == 1
    backlog.discard(item)
    backlog.discard(item)
    assert len(backlog) == 0
    assert backlog.pop() is None


@given(st.lists(st.tuples(st.sampled_from("pdsr"), st.integers(0, 5)), max_size=60))
def test_backlog_gives_each_once_and_never_one_that_spent_more(
    steps: list[tuple[str, int]],
) -> None:
    """Whatever is put, removed, spent and forgiven, the least spender is next."""
    backlog: Backlog[Connection] = Backlog()
    accounts = [Account(str(number)) for number in range(3)]
    items = [Connection(accounts[number % 3], number) for number in range(6)]
    waiting: set[Connection] = set()
    for step, number in steps:
        item = items[number]
        if step == "p":
            backlog.put(item)
            waiting.add(item)
        elif step == "d":
            backlog.discard(item)
            waiting.discard(item)
        elif step == "s":
            item.account.spent_s += number
        else:
            for account in accounts:
                account.spent_s /= 2
            backlog.reorder()
        assert len(backlog) == len(waiting)
    while (popped := backlog.pop()) is not None:
        least = min(each.account.spent_s for each in waiting)
        assert popped.account.spent_s == least
        waiting.remove(popped)
    assert not waiting
