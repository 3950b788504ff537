"""The connections that are closed first to make room."""

from __future__ import annotations

from dataclasses import dataclass

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.expendable_connections import ExpendableConnections


@dataclass(eq=False)
class Connection:
    """A fake connection."""

    account: Account


def test_oldest_of_the_host_that_has_the_most_goes_first() -> None:
    """A new worker is not closed because of a crowd from another host."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    worker, crowd = Account("worker"), Account("crowd")
    new, first, second = (Connection(each) for each in (worker, crowd, crowd))
    for connection in (new, first, second):
        expendable.add(connection)
    assert len(expendable) == 3
    assert (
        next(expendable.oldest(), None) is next(expendable.oldest(crowd), None) is first
    )
    assert next(expendable.oldest(worker), None) is new


def test_whoever_has_spoken_or_ended_is_not_among_them() -> None:
    """A connection that has sent a byte or has ended is not in the list."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    accounts = [Account("a"), Account("b")]
    first, second = (Connection(account) for account in accounts)
    for connection in (first, second):
        expendable.add(connection)
    for connection in (first, first):
        expendable.discard(connection)
    assert len(expendable) == 1
    assert [expendable.count(account) for account in accounts] == [0, 1]
    assert next(expendable.oldest(accounts[0]), None) is None
    expendable.discard(second)
    assert next(expendable.oldest(), None) is None


def test_silent_connection_that_is_refused_counts_once() -> None:
    """It is added when it is new, and again when it lingers."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    connection = Connection(Account("a"))
    expendable.add(connection)
    expendable.add(connection)
    assert len(expendable) == 1
    expendable.discard(connection)
    assert not len(expendable)


def test_connections_of_a_shared_host_count_together() -> None:
    """Otherwise a crowd at one address would look like many workers."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    host, alone = Account("shared"), Connection(Account("alone"))
    expendable.add(alone)
    shared = []
    for number in range(2):
        account = Account(f"shared:{number}")
        account.shared_host = host
        shared.append(Connection(account))
        expendable.add(shared[-1])
    assert next(expendable.oldest(), None) is shared[0]
