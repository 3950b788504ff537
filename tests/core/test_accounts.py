"""Accounts: when an address has more than its share."""

from __future__ import annotations

import pytest

from pacemaker.core.accounts import Account, exceeds_share


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
    """Up to three quarters everybody may have more, above them who is below a share."""
    assert exceeds_share(used, total, 100, accounts) is is_refused


def test_new_account_uses_nothing() -> None:
    """All totals begin at zero."""
    account = Account("10.0.0.5")
    assert account.name == "10.0.0.5"
    assert not account.connections
    assert not account.stored_bytes
    assert not account.buffered_bytes
    assert not account.held_read_bytes
