"""The time of an I/O thread that each account has used lately.

Only the ratios between accounts matter.  So the time is not measured over a window, but
halved four times a second (`FADE_S`), several times at once after a quiet time.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

from typing import Final

from pacemaker.core.accounts.account import Account

# An account that has used more of an I/O thread's time than this in about the last half
# second is a crowd.
CROWD_S: Final = 0.02

# The time spent on an account is halved this often, and forgotten once it is below
# `FORGOTTEN_S`.
FADE_S: Final = 0.25
FORGOTTEN_S: Final = 0.0001
# This many halvings leave nothing of any time; more would only make larger numbers.
_MOST_HALVINGS: Final = 60


def is_crowd(account: Account) -> bool:
    """Return whether an account has lately used more time than any worker would."""
    return account.spent_s > CROWD_S


class Spending:
    """Charges accounts, and the addresses that many workers share.

    Args:
        now_s: the time.

    Attributes:
        is_crowded: whether any account is a crowd, so that every turn must be shared
            from its beginning.
        most_spent_s: the most that any account has spent.
    """

    def __init__(self, now_s: float) -> None:
        self.is_crowded = False
        self.most_spent_s = 0.0
        # Whoever has a `spent_s` to halve.  An address that many workers share is no
        # crowd, however much it uses, as its connections have accounts of their own.
        self._accounts: set[Account] = set()
        self._shared_addresses: set[Account] = set()
        self._next_fade_s = now_s + FADE_S

    def charge(self, account: Account, elapsed_s: float) -> None:
        """Charge time to an account, and to its address if that is shared."""
        account.spent_s += elapsed_s
        self._accounts.add(account)
        if account.spent_s > self.most_spent_s:
            self.most_spent_s = account.spent_s
        if is_crowd(account):
            # Set it at once: until the next fading, all others would wait for this
            # account.
            self.is_crowded = True
        shared = account.shared_account
        if shared is not None:
            shared.spent_s += elapsed_s
            self._shared_addresses.add(shared)

    def fade(self, now_s: float) -> bool:
        """Halve the times spent once for each `FADE_S`, and forget negligible ones.

        To be called before `charge`, as it halves what was charged before.

        Returns:
            Whether the order of the accounts by the times spent may have changed.
        """
        if now_s < self._next_fade_s:
            return False
        missed = int((now_s - self._next_fade_s) / FADE_S)
        self._next_fade_s += (missed + 1) * FADE_S
        if missed:
            self._divide(2 ** min(missed, _MOST_HALVINGS))
        self.is_crowded = any(map(is_crowd, self._accounts))
        self._divide(2)
        return True

    def _divide(self, divisor: int) -> None:
        for accounts in (self._accounts, self._shared_addresses):
            for account in tuple(accounts):
                account.spent_s /= divisor
                if account.spent_s < FORGOTTEN_S:
                    account.spent_s = 0.0
                    accounts.discard(account)
        self.most_spent_s /= divisor
