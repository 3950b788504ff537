"""Accounts: when an address has more than its share."""

from __future__ import annotations

import pytest

from pacemaker.core.accounts.account import (
    BURST_S,
    KEYS_AND_LISTS_PER_CHARGE,
    MAX_DEBT_S,
    Account,
    AddressLimits,
    TokenBucket,
    exceeds_share,
)


@pytest.mark.parametrize(
    ("used", "total", "accounts", "is_refused"),
    [
        (75, 75, 1, False),
        (76, 76, 1, False),
        (101, 101, 1, True),
        (60, 75, 2, False),
        (60, 76, 2, True),
        (50, 100, 2, False),
        (16, 80, 16, True),
        (6, 80, 16, False),
    ],
)
def test_account_is_held_to_its_share_under_pressure_alone(
    used: int, total: int, accounts: int, is_refused: bool
) -> None:
    """Above three quarters, only accounts below their equal share may have more."""
    assert exceeds_share(used, total, 100, accounts) is is_refused


def test_new_account_uses_nothing() -> None:
    """All totals begin at zero."""
    account = Account("10.0.0.5")
    assert account.name == "10.0.0.5"
    assert not account.connections
    assert not account.stored_bytes
    assert not account.buffered_bytes
    assert not account.pending_bytes


def test_full_bucket_pays_at_once_and_an_empty_one_says_how_long_to_wait() -> None:
    """A bucket earns one second per second, and holds at most its burst."""
    bucket = TokenBucket()
    assert bucket.charge(BURST_S, 100.0) == 0.0
    assert bucket.charge(0.75, 100.0) == 0.75
    assert bucket.charge(0.0, 100.5) == 0.25
    assert bucket.charge(0.5, 100.75) == 0.5
    # A day later it is full, and no fuller.
    assert bucket.charge(BURST_S + 0.5, 90_000.0) == 0.5


def test_debt_is_bounded() -> None:
    """Whoever comes later at the same address does not wait for minutes."""
    bucket = TokenBucket()
    for _ in range(3):
        assert bucket.charge(1_000.0, 100.0) == MAX_DEBT_S
    assert bucket.charge(0.0, 100.0 + MAX_DEBT_S) == 0.0


def test_bucket_earns_nothing_while_the_clock_stands_or_goes_back() -> None:
    """Two threads may pass in their times out of order."""
    bucket = TokenBucket()
    assert bucket.charge(BURST_S, 100.0) == 0.0
    assert bucket.charge(1.0, 99.0) == 1.0


def test_account_pays_for_new_keys_and_lists_once() -> None:
    """New keys and lists that were charged once are not charged again."""
    limits = AddressLimits(new_keys_per_s=100.0, lists_per_s=10.0)
    account = Account("10.0.0.5")
    account.uncharged_new_keys, account.uncharged_lists = 500, 5
    assert account.charge_work(100.0, limits) == pytest.approx(5.0 + 0.5 - BURST_S)
    assert (account.uncharged_new_keys, account.uncharged_lists) == (0, 0)
    assert account.charge_work(100.0, limits) == pytest.approx(0.5)


def test_share_of_a_connection_is_that_of_the_slower_rate() -> None:
    """With more connections, each has to take longer."""
    account = Account("10.0.0.5")
    account.connections = 50
    limits = AddressLimits(new_keys_per_s=1_000.0, lists_per_s=10.0)
    assert account.share_s(limits) == 50 * KEYS_AND_LISTS_PER_CHARGE / 10.0


def test_account_arrives_too_often_above_its_rate() -> None:
    """After a burst, an account may connect only at its rate."""
    limits = AddressLimits(connections_per_s=1.0)
    account = Account("10.0.0.5")
    early = [account.connects_too_often(100.0, limits) for _ in range(6)]
    assert early == [False] * 5 + [True]
    assert account.connects_too_often(101.0, limits)
    assert not account.connects_too_often(103.0, limits)


def test_account_shows_its_connections() -> None:
    """The repr has the address and its connections, for the log of a bug."""
    account = Account("10.0.0.5")
    account.connections = 3
    assert repr(account) == "<Account 10.0.0.5 connections=3>"
