"""The new connections of an I/O thread."""

from __future__ import annotations

from dataclasses import dataclass

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.cost_classes import NEW_CLASS
from pacemaker.server.io.fairness.newcomers import MANY, Newcomers


@dataclass(eq=False)
class Connection:
    """A fake connection."""

    account: Account
    cost_class: int = NEW_CLASS
    newness: int = -1


def test_connection_of_unknown_cost_is_trusted_after_its_time() -> None:
    """A guess is forgotten; a cost that was measured is not."""
    account = Account("10.0.0.1")
    guessed = Connection(account, NEW_CLASS + 1)
    costly = Connection(account, NEW_CLASS + 1, newness=0)
    hardly_measured = Connection(account, newness=0)
    late = Connection(account)
    newcomers: Newcomers[Connection] = Newcomers()
    for connection in (guessed, costly, hardly_measured):
        newcomers.add(connection, 11.0)
    newcomers.add(late, 12.0)
    newcomers.trust_aged(10.9)
    assert list(newcomers) == [guessed, costly, hardly_measured, late]
    newcomers.trust_aged(11.0)
    assert list(newcomers) == [late]
    assert [each.cost_class for each in (guessed, costly, hardly_measured)] == [
        0,
        NEW_CLASS + 1,
        0,
    ]
    assert (guessed.newness, late.newness) == (0, -1)


def test_connections_of_shared_addresses_are_never_many() -> None:
    """A whole cluster may connect from one, and its workers are known to be cheap."""
    shared = Account("127.0.0.1:1")
    shared.shared_account = Account("127.0.0.1")
    for account in (shared, Account("10.0.0.1")):
        newcomers: Newcomers[Connection] = Newcomers()
        connections = [Connection(account) for _ in range(MANY + 1)]
        for connection in connections:
            newcomers.add(connection, 11.0)
        assert newcomers.are_many == (account is not shared)
        for _ in range(2):
            newcomers.discard(connections[0])
        assert list(newcomers) == connections[1:]
        assert not newcomers.are_many
