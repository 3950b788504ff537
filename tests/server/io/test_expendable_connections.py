"""The connections that are closed first to make room."""

from __future__ import annotations

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.expendable_connections import ExpendableConnections

ANY = None


class Connection:
    """A fake connection, which was expendable at first."""

    def __init__(
        self, expendable: ExpendableConnections[Connection], account: Account
    ) -> None:
        self.account = account
        self.has_spoken = False
        self.is_closed = False
        self._expendable = expendable
        expendable.add(self)

    def close_if_expendable(self) -> bool:
        """Close it, unless it has spoken."""
        if not self.has_spoken:
            self.is_closed = True
            self._expendable.discard(self)
        return self.is_closed


def _close_one(
    expendable: ExpendableConnections[Connection], account: Account | None
) -> bool:
    expendable.promise(account)
    return expendable.close_promised(account)


def _replace_one(
    expendable: ExpendableConnections[Connection], new: Connection
) -> bool:
    expendable.promise_replacement(new.account)
    return expendable.replace_promised(new)


def _room(
    expendable: ExpendableConnections[Connection], account: Account
) -> tuple[int, bool]:
    """Return how much room is left for any address, and whether this one has some."""
    return expendable.unpromised_count, expendable.has_unpromised(account)


def test_oldest_of_the_host_that_has_the_most_goes_first() -> None:
    """A new worker is not closed because of a crowd from another host."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    worker, crowd = Account("worker"), Account("crowd")
    new, first, second = (
        Connection(expendable, each) for each in (worker, *[crowd] * 2)
    )
    assert expendable.unpromised_count == 3
    assert _close_one(expendable, ANY)
    assert [each.is_closed for each in (new, first, second)] == [False, True, False]
    assert _close_one(expendable, worker)
    assert new.is_closed


def test_whoever_has_ended_is_not_among_them() -> None:
    """A connection that has ended is no longer there to be closed."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    accounts = [Account("a"), Account("b")]
    first, second = (Connection(expendable, account) for account in accounts)
    for connection in (first, first):
        expendable.discard(connection)
    assert expendable.unpromised_count == 1
    assert [expendable.has_unpromised(each) for each in accounts] == [False, True]
    assert not _close_one(expendable, accounts[0])
    expendable.discard(second)
    assert not _close_one(expendable, ANY)


def test_whoever_has_just_spoken_stays() -> None:
    """Its first bytes may still be in the kernel; then the next one goes."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    account = Account("a")
    worker, silent = (Connection(expendable, account) for _ in range(2))
    worker.has_spoken = True
    assert _close_one(expendable, account)
    assert silent.is_closed
    assert not expendable.has_unpromised(account)
    assert not _close_one(expendable, account)


def test_search_gives_up_after_some() -> None:
    """Thousands that have just sent something do not delay everybody else."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    account = Account("a")
    speakers = [Connection(expendable, account) for _ in range(100)]
    for each in speakers:
        each.has_spoken = True
    last = Connection(expendable, account)
    assert not _close_one(expendable, account)
    assert not last.is_closed
    while not _close_one(expendable, account):
        pass
    assert last.is_closed


def test_new_connection_does_not_make_room_for_itself() -> None:
    """A connection that replaces another one is expendable itself."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    account = Account("a")
    new = Connection(expendable, account)
    assert not _replace_one(expendable, new)
    other = Connection(expendable, account)
    assert _replace_one(expendable, new)
    assert [each.is_closed for each in (new, other)] == [False, True]


def test_room_is_promised_only_once() -> None:
    """Promises of an address, and those of whatever address has the most, count."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    account = Account("a")
    for _ in range(2):
        Connection(expendable, account)
    expendable.promise(account)
    assert _room(expendable, account) == (1, True)
    expendable.promise(ANY)
    assert _room(expendable, account) == (0, False)
    assert expendable.close_promised(ANY)
    assert _room(expendable, account) == (0, False)


def test_connections_that_replace_others_leave_the_room_to_other_addresses() -> None:
    """If a flood comes faster than it is opened, a new worker still finds room."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    flood = Account("flood")
    old = Connection(expendable, flood)
    expendable.promise_replacement(flood)
    assert _room(expendable, flood) == (1, False)
    assert _close_one(expendable, ANY)
    assert old.is_closed
    # The connection of the flood finds nothing left to replace, and has to go itself.
    assert not expendable.replace_promised(Connection(expendable, flood))


def test_room_is_not_promised_twice_within_an_address() -> None:
    """Each new connection of an address replaces another one, until it is opened."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    account = Account("a")
    for _ in range(2):
        Connection(expendable, account)
    expendable.promise(account)
    expendable.promise_replacement(account)
    assert not expendable.has_unpromised(account)
    expendable.withdraw_replacement(account)
    assert expendable.has_unpromised(account)


def test_silent_connection_that_is_refused_counts_once() -> None:
    """It is added when it is new, and again when it lingers."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    connection = Connection(expendable, Account("a"))
    expendable.add(connection)
    assert expendable.unpromised_count == 1
    expendable.discard(connection)
    assert not expendable.unpromised_count


def test_connections_of_a_shared_host_count_together() -> None:
    """Otherwise a crowd at one address would look like many workers."""
    expendable: ExpendableConnections[Connection] = ExpendableConnections()
    host, alone = Account("shared"), Connection(expendable, Account("alone"))
    shared = []
    for number in range(2):
        account = Account(f"shared:{number}")
        account.shared_account = host
        shared.append(Connection(expendable, account))
    assert _close_one(expendable, ANY)
    assert [each.is_closed for each in (alone, *shared)] == [False, True, False]
