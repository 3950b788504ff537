"""The time that each account has recently used."""

from __future__ import annotations

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.spending import CROWD_S, FADE_S, FORGOTTEN_S, Spending


def test_what_was_spent_halves_and_is_forgotten() -> None:
    """Spent time halves once per `FADE_S`, however often it is read."""
    spending = Spending(100.0 - FADE_S)
    account = Account("a")
    spending.charge(account, 4 * FORGOTTEN_S)
    assert spending.fade(100.0)
    assert not spending.fade(100.0 + FADE_S / 2)
    assert account.spent_s == 2 * FORGOTTEN_S
    for turn in range(1, 4):
        assert spending.fade(100.0 + turn * FADE_S)
    assert account.spent_s == 0.0


def test_crowd_is_seen_at_once_and_for_as_long_as_it_lasts() -> None:
    """Turns are shared while one account uses much of the thread's time."""
    now_s = 100.0
    spending = Spending(now_s - FADE_S)
    account = Account("a")
    assert not spending.is_crowded
    spending.charge(account, 1.5 * CROWD_S)
    assert spending.is_crowded
    spending.fade(now_s)
    assert spending.is_crowded
    spending.fade(now_s + FADE_S)
    assert not spending.is_crowded


def test_address_that_many_workers_share_is_no_crowd() -> None:
    """Its connections are judged separately, but their turns are those of one host."""
    spending = Spending(100.0 - FADE_S)
    host = Account("shared")
    accounts = [Account(f"shared:{number}") for number in range(100)]
    for account in accounts:
        account.shared_account = host
        spending.charge(account, CROWD_S / 10)
    assert not spending.is_crowded
    assert host.spent_s > 9 * CROWD_S
    spending.fade(100.0)
    assert not spending.is_crowded
    assert host.spent_s < 6 * CROWD_S


def test_most_that_was_spent_fades_too() -> None:
    """It is never less than what any account has spent."""
    spending, busy, idle = Spending(0.0), Account("10.0.0.1"), Account("10.0.0.2")
    spending.charge(busy, 0.008)
    spending.charge(idle, 0.001)
    assert spending.most_spent_s == 0.008
    spending.fade(FADE_S)
    assert spending.most_spent_s == busy.spent_s == 0.004
    spending.charge(idle, 0.01)
    assert spending.most_spent_s == idle.spent_s


def test_quiet_time_counts_as_often_as_nobody_asked() -> None:
    """What was spent an hour ago makes nobody a crowd at the next request."""
    spending, account = Spending(100.0), Account("10.0.0.1")
    spending.charge(account, 1.5 * CROWD_S)
    assert spending.fade(100.0 + 4.5 * FADE_S)
    assert not spending.is_crowded
    assert spending.most_spent_s == account.spent_s == 1.5 * CROWD_S / 2**4
    assert spending.fade(100.0 + 3600.0)
    assert account.spent_s == 0.0
