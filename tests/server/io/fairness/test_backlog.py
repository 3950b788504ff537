"""The backlog of an I/O thread: who is next."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.backlog import Backlog


@dataclass(eq=False)
class Connection:
    """A fake connection."""

    account: Account
    number: int = 0
    cost_class: int = 0
    newness: int = 0
    is_established: bool = False


def test_costliest_is_that_of_the_host_that_has_spent_the_most() -> None:
    """Nobody who is new, or was there before, is among those that may have to go."""
    backlog: Backlog[Connection] = Backlog()
    busy, busier = Account("busy"), Account("busier")
    busy.spent_s, busier.spent_s = 1.0, 2.0
    cheap, first, second = (
        Connection(busier, number, cost_class)
        for number, cost_class in enumerate((2, 3, 4))
    )
    other = Connection(busy, 3, cost_class=9)
    new = Connection(busier, 4, cost_class=9, newness=-1)
    relay = Connection(busier, 5, cost_class=9, is_established=True)
    for connection in (cheap, new, relay):
        backlog.put(connection)
    assert (backlog.costly, backlog.costliest()) == (0, None)
    for connection in (first, second, other, other):
        backlog.put(connection)
    found = []
    while (costliest := backlog.costliest()) is not None:
        found.append((backlog.costly, costliest.number))
        backlog.discard(costliest)
    assert found == [(3, 2), (2, 1), (1, 3)]
    backlog.put(second)
    while backlog.pop() is not None:
        pass
    assert backlog.costly == 0


def _names(backlog: Backlog[Connection]) -> list[tuple[str, int]]:
    """Serve all; return the names of the accounts and the numbers in that order."""
    names = []
    while (item := _serve(backlog)) is not None:
        names.append((item.account.name, item.number))
    return names


def _serve(backlog: Backlog[Connection]) -> Connection | None:
    """Serve the next one, which takes 2 ** `cost_class` seconds."""
    item = backlog.pop()
    if item is not None:
        backlog.charge(2.0**item.cost_class)
    return item


def _classes(backlog: Backlog[Connection], count: int) -> list[int]:
    """Serve some, and return their classes."""
    served = [_serve(backlog) for _ in range(count)]
    return [item.cost_class for item in served if item is not None]


def test_account_that_has_spent_least_is_next() -> None:
    """Within an account, the connection that has waited longest is next."""
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


def test_connections_with_small_requests_do_not_wait_for_all_costly_ones() -> None:
    """The cost classes share the host's time: one of class 3 costs eight of class 0."""
    backlog: Backlog[Connection] = Backlog()
    host = Account("host")
    for number in range(3):
        backlog.put(Connection(host, number, cost_class=3))
    for number in range(10, 30):
        backlog.put(Connection(host, number))
    numbers = [number for _, number in _names(backlog)]
    assert numbers == [10, 0, *range(11, 19), 1, *range(19, 27), 2, *range(27, 30)]


def test_class_that_comes_back_has_saved_nothing_up() -> None:
    """A class gets no credit for the time in which it had no connections."""
    backlog: Backlog[Connection] = Backlog()
    host = Account("host")
    for number in range(100):
        backlog.put(Connection(host, number, cost_class=1))
    _classes(backlog, 50)
    for number in range(100, 110):
        backlog.put(Connection(host, number))
    assert _classes(backlog, 9) == [0, 0, 0, 1, 0, 0, 1, 0, 0]


def test_established_connections_have_eight_times_the_time_of_later_ones() -> None:
    """A relay's large heartbeat comes before thousands that imitate it."""
    backlog: Backlog[Connection] = Backlog()
    host = Account("host")
    for number in range(4):
        backlog.put(Connection(host, number, cost_class=5))
    for number in range(10, 20):
        backlog.put(Connection(host, number, cost_class=5, is_established=True))
    numbers = [number for _, number in _names(backlog)]
    assert numbers == [10, 0, *range(11, 19), 1, 19, 2, 3]


def test_new_connections_that_have_sent_little_have_four_times_the_time_of_others() -> (
    None
):
    """A new worker comes before thousands that begin a large frame after it."""
    backlog: Backlog[Connection] = Backlog()
    host = Account("host")
    for number in range(20):
        backlog.put(Connection(host, cost_class=2, newness=-1 - number))
        backlog.put(Connection(host, cost_class=3, newness=-1 - number))
    assert _classes(backlog, 18) == [2, 3, *[2] * 8, 3, *[2] * 7]


def test_newest_of_those_that_are_new_is_next() -> None:
    """New connections do not wait for all that came shortly before them."""
    backlog: Backlog[Connection] = Backlog()
    host = Account("host")
    for number in range(4):
        backlog.put(Connection(host, number, cost_class=2, newness=-1 - number))
    for number in range(4, 6):
        backlog.put(Connection(host, number, cost_class=2))
    assert [number for _, number in _names(backlog)] == [3, 4, 2, 1, 0, 5]


def test_connections_of_a_shared_host_wait_in_one_line() -> None:
    """A thousand connections of one address do not get a thousand turns."""
    backlog: Backlog[Connection] = Backlog()
    host = Account("shared")
    for number in range(3):
        account = Account(f"shared:{number}")
        account.shared_account = host
        backlog.put(Connection(account, number))
    backlog.put(Connection(Account("other"), 9))
    host.spent_s = 1.0
    assert [number for _, number in _names(backlog)] == [9, 0, 1, 2]


def test_item_waits_in_the_class_that_it_had() -> None:
    """A connection is found even if its class changes while it waits."""
    backlog: Backlog[Connection] = Backlog()
    item = Connection(Account("a"))
    backlog.put(item)
    item.cost_class = 5
    backlog.put(item)
    assert len(backlog) == 1
    backlog.discard(item)
    assert len(backlog) == 0
    assert item not in backlog


def test_what_is_spent_meanwhile_counts() -> None:
    """Two accounts with equal spending take turns."""
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
    """After the spending has faded, what is left of it decides the order."""
    backlog: Backlog[Connection] = Backlog()
    first, second = Account("first"), Account("second")
    first.spent_s, second.spent_s = 1.0, 0.5
    backlog.put(Connection(first))
    backlog.put(Connection(second))
    first.spent_s = 0.25
    backlog.reorder()
    assert _names(backlog) == [("first", 0), ("second", 0)]


def test_connection_waits_once_and_may_be_removed() -> None:
    """Adding it twice has no effect, nor has removing one that does not wait."""
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


@given(st.lists(st.tuples(st.sampled_from("pdsrc"), st.integers(0, 5)), max_size=60))
def test_backlog_gives_each_once_and_never_one_that_spent_more(
    steps: list[tuple[str, int]],
) -> None:
    """Whatever was added, removed, spent and forgiven, the least spender is next."""
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
        elif step == "c":
            item.cost_class = number
            item.newness = -(number % 2)
            item.is_established = number > 2
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
