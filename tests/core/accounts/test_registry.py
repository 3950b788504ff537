"""Which account a connection belongs to."""

from __future__ import annotations

import pytest

from pacemaker.core.accounts import registry
from pacemaker.core.accounts.account import Account
from pacemaker.core.accounts.registry import (
    MAX_IDLE_ACCOUNTS,
    AccountRegistry,
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "::ffff:10.0.0.1"),
        ("2001:db8::1", "2001:db8::2:3:4:5"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_connections_of_one_address_share_an_account(first: str, second: str) -> None:
    """A mapped address is its IPv4 address, and one /64 is one address."""
    accounts = AccountRegistry()
    account = accounts.add_connection(first, 1)
    assert accounts.add_connection(second, 2) is account
    assert account.connections == accounts.connections == 2
    assert accounts.active_accounts == 1
    assert accounts.busiest_account_connections() == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("10.0.0.1", "10.0.0.2"),
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_other_addresses_and_shared_ones_have_their_own(
    first: str, second: str
) -> None:
    """Each connection from loopback counts as an address of its own."""
    accounts = AccountRegistry()
    assert accounts.add_connection(first, 1) is not accounts.add_connection(second, 2)
    assert accounts.active_accounts == 2


def test_connections_of_a_shared_address_have_one_host() -> None:
    """The I/O threads take addresses in turn, however many workers share one."""
    accounts = AccountRegistry()
    first, second = (accounts.add_connection("127.0.0.1", port) for port in (1, 2))
    other = accounts.add_connection("10.0.0.1", 3)
    assert first.address_account is second.address_account is not first
    assert first.address_account.name == "127.0.0.1"
    assert other.address_account is other
    accounts.remove_connection(first)
    assert (
        accounts.add_connection("127.0.0.1", 4).address_account
        is second.address_account
    )
    for account in (second, accounts.add_connection("127.0.0.1", 4)):
        accounts.remove_connection(account)


def test_account_is_remembered_after_its_last_connection() -> None:
    """A peer that connects again gets its old account back."""
    accounts = AccountRegistry(shared_networks=())
    account = accounts.add_connection("127.0.0.1", 1)
    accounts.remove_connection(account)
    assert (
        accounts.connections
        == accounts.active_accounts
        == accounts.busiest_account_connections()
        == 0
    )
    assert accounts.add_connection("127.0.0.1", 2) is account


def test_number_of_accounts_that_are_remembered_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The account that has been idle longest is forgotten first."""
    monkeypatch.setattr(registry, "MAX_IDLE_ACCOUNTS", 2)
    accounts = AccountRegistry()
    old = [accounts.add_connection(f"10.0.0.{number}", 1) for number in range(3)]
    for account in old:
        accounts.remove_connection(account)
    new = [accounts.add_connection(f"10.0.0.{number}", 1) for number in (2, 1, 0)]
    assert [account in old for account in new] == [True, True, False]


def test_port_of_a_shared_address_that_connects_again_is_another_peer() -> None:
    """The end of its earlier connection may not have been read yet."""
    accounts = AccountRegistry()
    earlier = accounts.add_connection("127.0.0.1", 7)
    later = accounts.add_connection("127.0.0.1", 7)
    assert later is not earlier
    assert (earlier.connections, later.connections) == (1, 1)
    accounts.remove_connection(earlier)
    assert (accounts.active_accounts, accounts.connections) == (1, 1)
    assert accounts.busiest_account_connections() == 1
    accounts.remove_connection(later)
    assert accounts.busiest_account_connections() == accounts.active_accounts == 0


def test_connection_of_a_shared_address_is_gone_with_its_end() -> None:
    """Its heartbeats pass on to the heir, and the same port gets a new account."""
    passed_on: list[tuple[Account, Account]] = []
    accounts = AccountRegistry(transfer_charges=lambda *pair: passed_on.append(pair))
    first = accounts.add_connection("127.0.0.1", 7000)
    accounts.remove_connection(first)
    second = accounts.add_connection("127.0.0.1", 7000)
    assert second is not first
    assert passed_on == [(first, accounts.heir)]
    accounts.remove_connection(second)
    assert passed_on[1:] == [(second, accounts.heir)]
    host = second.shared_account
    assert host is not None
    assert host.connections == 0
    assert accounts.add_connection("127.0.0.1", 7001).shared_account is not host


def test_address_is_gone_once_it_is_forgotten() -> None:
    """An idle address is remembered, and passes its heartbeats on when forgotten."""
    passed_on: list[Account] = []
    accounts = AccountRegistry((), lambda account, _: passed_on.append(account))
    first = accounts.add_connection("10.0.0.1", 1)
    accounts.remove_connection(first)
    assert accounts.add_connection("10.0.0.1", 2) is first
    accounts.remove_connection(first)
    for number in range(MAX_IDLE_ACCOUNTS):
        assert passed_on == []
        accounts.remove_connection(
            accounts.add_connection(f"10.1.{number // 256}.{number % 256}", 1)
        )
    assert passed_on == [first]
