"""Connections that have never sent a byte."""

from __future__ import annotations

from dataclasses import dataclass

from pacemaker.core.accounts import Account
from pacemaker.server.io.silent import Silent


@dataclass(eq=False)
class Connection:
    """Stands for a connection."""

    account: Account


def test_oldest_goes_first_of_all_or_of_an_account() -> None:
    """Whoever has sent something, or has ended, is not among them."""
    silent: Silent[Connection] = Silent()
    accounts = [Account("a"), Account("b")]
    first, second, third = (Connection(accounts[each]) for each in (0, 1, 1))
    for connection in (first, second, third):
        silent.add(connection)
    assert len(silent) == 3
    assert silent.oldest() is first
    assert silent.oldest(accounts[1]) is second
    for connection in (second, first, first):
        silent.discard(connection)
    assert len(silent) == 1
    assert silent.oldest() is silent.oldest(accounts[1]) is third
    assert silent.oldest(accounts[0]) is None
    assert [silent.has(account) for account in accounts] == [False, True]
