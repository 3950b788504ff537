"""Connections that have never sent a byte."""

from __future__ import annotations

from dataclasses import dataclass

from pacemaker.core.accounts import Account
from pacemaker.server.io.silent import Silent


@dataclass(eq=False)
class Connection:
    """A fake connection."""

    account: Account


def test_oldest_of_the_host_that_has_the_most_goes_first() -> None:
    """A new worker is not closed because of a crowd from another host."""
    silent: Silent[Connection] = Silent()
    worker, crowd = Account("worker"), Account("crowd")
    new, first, second = (Connection(each) for each in (worker, crowd, crowd))
    for connection in (new, first, second):
        silent.add(connection)
    assert len(silent) == 3
    assert silent.next_to_end() is silent.next_to_end(crowd) is first
    assert silent.next_to_end(worker) is new


def test_whoever_has_spoken_or_ended_is_not_among_them() -> None:
    """A connection that has sent a byte or has ended is not in the list."""
    silent: Silent[Connection] = Silent()
    accounts = [Account("a"), Account("b")]
    first, second = (Connection(account) for account in accounts)
    for connection in (first, second):
        silent.add(connection)
    for connection in (first, first):
        silent.discard(connection)
    assert len(silent) == 1
    assert [silent.has(account) for account in accounts] == [False, True]
    assert silent.next_to_end(accounts[0]) is None
    silent.discard(second)
    assert silent.next_to_end() is None


def test_connections_of_a_shared_host_count_together() -> None:
    """Otherwise a crowd at one address would look like many workers."""
    silent: Silent[Connection] = Silent()
    host, alone = Account("shared"), Connection(Account("alone"))
    silent.add(alone)
    shared = []
    for number in range(2):
        account = Account(f"shared:{number}")
        account.shared_host = host
        shared.append(Connection(account))
        silent.add(shared[-1])
    assert silent.next_to_end() is shared[0]
