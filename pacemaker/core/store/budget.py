"""The store's budget: how much memory all heartbeats, and one address, may take.

* While up to three quarters of the budget are used (`account.PRESSURE`), everybody
  may store anything.
* Above that, an account that has more than an equal share may not add keys, and may
  not let a value grow past `SMALL_VALUE_BYTES`.
* No new key may exceed the budget.
* A known key may still grow when the budget is used up, because otherwise Nimbus would
  declare live workers dead.  All such growth together is limited to `SLACK_BYTES`.
* Once three quarters of the budget are used, growth by accounts above their share is
  charged to this slack.  Otherwise many values that each grow a little could use up the
  room that is left for other accounts' new keys.
* A value that does not grow is never refused, not even above the share: the heartbeat
  of a live worker must not become stale because the store is full.

A key is charged to its last writer.  There is one exception: if taking over another
account's key would put an account above its share, the account may rewrite the key
without growth, but the key stays charged to the account that has paid for it.
(Refusing the rewrite would hurt a worker that has moved to a busy address.  If the new
writer were charged, it could grow without limit: each account whose last key it takes
no longer counts, so the equal share of everybody else, including its own, grows.)

Each connection of a shared address is an account of its own, which is gone for good
once the connection has ended.  The keys that it leaves in the store pass to a single
heir (`transfer_charges`).  Otherwise a peer could open one connection after another,
leave one key from each, and make everybody else's equal share as small as it likes.

The store holds its lock whenever it calls this module.
"""

from __future__ import annotations

import sys
from typing import Final

from pacemaker.core.accounts.account import (
    PRESSURE,
    UNKNOWN_PEER,
    Account,
    exceeds_share,
)
from pacemaker.core.store.trie import Leaf
from pacemaker.errors import LimitError

# A value may grow to this size even if its account is above its share.  Most of
# Storm's heartbeats are smaller, and because they are compressed, their sizes change
# all the time.
SMALL_VALUE_BYTES: Final = 64 * 1024
# By how much known values may grow once the budget is used up.
SLACK_BYTES: Final = 32 * 1024 * 1024
# Accounts above their share may use no more of the slack than this fraction of the
# budget: a quarter of the last quarter.  Even with a small budget, most of the last
# quarter is then left for the new keys of other accounts.
_SLACK_PART: Final = 16


class StoreBudget:
    """The totals of the store, and the rules of the module.

    Args:
        size_bytes: the budget; None for no limit.
        account_limit_bytes: an account with more than this counts as above its share,
            however little is stored.  None for no such limit.

    Attributes:
        used_bytes: what everything in the store takes.
        unchecked_bytes: up to this many used bytes, no growth has to be checked.
        accounts: how many accounts have stored anything, not counting `UNKNOWN_PEER`.
        refused: how many heartbeats were refused for lack of room.
        slack_bytes: how much of the slack is used.
    """

    __slots__ = (
        "_account_limit_bytes",
        "_size_bytes",
        "_slack",
        "accounts",
        "refused",
        "slack_bytes",
        "unchecked_bytes",
        "used_bytes",
    )

    def __init__(self, size_bytes: int | None, account_limit_bytes: int | None) -> None:
        self._account_limit_bytes = account_limit_bytes
        self.used_bytes = 0
        self.accounts = 0
        self.refused = 0
        # How much of the slack each account has used since the store was last below
        # three quarters of its budget.
        self._slack: dict[Account, int] = {}
        self.slack_bytes = 0
        self.unchecked_bytes = 0
        self.size_bytes = sys.maxsize if size_bytes is None else size_bytes

    @property
    def size_bytes(self) -> int:
        """The memory that the heartbeats may take."""
        return self._size_bytes

    @size_bytes.setter
    def size_bytes(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        has_limit = self._account_limit_bytes is not None
        self.unchecked_bytes = 0 if has_limit else int(size_bytes * PRESSURE)

    def add_key(
        self, account: Account, added_bytes: int, standalone_bytes: int
    ) -> None:
        """Add a new key to the totals.

        Args:
            account: the account that writes it.
            added_bytes: what it takes, with the nodes that it needs.
            standalone_bytes: what it would take if nothing else were stored.

        Raises:
            LimitError: there is no room for it.
        """
        self._refill_slack()
        if self.used_bytes + added_bytes > self._size_bytes:
            raise self._refusal("the store is full", account)
        if self._is_above_share(account, standalone_bytes, added_bytes):
            raise self._refusal(
                f"no new key: {self._why(account, standalone_bytes)}", account
            )
        self.used_bytes += added_bytes
        self.charge(account, standalone_bytes)
        account.uncharged_new_keys += 1

    def rewrite(
        self, leaf: Leaf, value: bytes, account: Account, standalone_bytes: int
    ) -> None:
        """Rewrite a leaf that another account may have paid for so far.

        Args:
            leaf: the leaf.
            value: its new value.
            account: the account that writes it.
            standalone_bytes: what the leaf's owner is charged for it.

        Raises:
            LimitError: the value may not grow that much.
        """
        owner = leaf.owner
        growth_bytes = len(value) - len(leaf.value)
        # The store grows by the difference only, but a new owner takes over the whole
        # key, so its share is judged with the whole key.
        own_bytes = growth_bytes + (0 if owner is account else standalone_bytes)
        if growth_bytes > 0:
            self.check_growth(account, own_bytes, growth_bytes, len(value))
        else:
            self._give_slack_back(owner, -growth_bytes)
            if self._is_scarce(growth_bytes) and self._is_above_share(
                account, own_bytes, growth_bytes
            ):
                account = owner
        self.charge(owner, -standalone_bytes)
        self.charge(account, standalone_bytes + growth_bytes)
        self.used_bytes += growth_bytes
        leaf.account, leaf.value = account, value

    def check_growth(
        self, account: Account, own_bytes: int, growth_bytes: int, size_bytes: int
    ) -> None:
        """Check that a value may grow, and charge the growth to the slack if needed.

        Args:
            account: the account that writes it.
            own_bytes: by how much the account's total grows.
            growth_bytes: by how much the value grows; it may also shrink.
            size_bytes: the value's new size.

        Raises:
            LimitError: the value may not grow that much.
        """
        self._refill_slack()
        if not self._is_scarce(growth_bytes):
            return
        if growth_bytes <= 0:
            self._give_slack_back(account, -growth_bytes)
            return
        is_above_share = self._is_above_share(account, own_bytes, growth_bytes)
        if is_above_share and size_bytes > SMALL_VALUE_BYTES:
            why = self._why(account, own_bytes)
            raise self._refusal(
                f"no growth past {SMALL_VALUE_BYTES // 1024} KiB: {why}", account
            )
        if is_above_share or self.used_bytes + growth_bytes > self._size_bytes:
            self._take_slack(account, growth_bytes, is_above_share)

    def charge(self, account: Account, size_bytes: int) -> None:
        """Add to an account's total, and keep count of the accounts that store."""
        account = account.heir or account
        if account is UNKNOWN_PEER:
            return
        before_bytes = account.stored_bytes
        account.stored_bytes = before_bytes + size_bytes
        self.accounts += (account.stored_bytes != 0) - (before_bytes != 0)

    def release(self, account: Account, size_bytes: int) -> None:
        """Take a deleted key out of an account's total, and give its slack back."""
        self.charge(account, -size_bytes)
        self._give_slack_back(account, size_bytes)

    def transfer_charges(self, account: Account, heir: Account) -> None:
        """Charge everything that an account has stored to another one, for good.

        Args:
            account: an account that will not write any more.
            heir: the other account; it has no heir itself.
        """
        stored_bytes = account.stored_bytes
        self.charge(account, -stored_bytes)
        self.charge(heir, stored_bytes)
        slack_bytes = self._slack.pop(account, 0)
        if slack_bytes:
            self._slack[heir] = self._slack.get(heir, 0) + slack_bytes
        # The leaves still name the account: to visit them all would take too long.
        account.heir = heir

    def _is_scarce(self, growth_bytes: int) -> bool:
        """Return whether shares matter once the store has grown by this."""
        return self.used_bytes + growth_bytes > self.unchecked_bytes

    def _is_above_share(
        self, account: Account, own_bytes: int, more_bytes: int
    ) -> bool:
        """Return whether an account would have more than its share.

        Args:
            account: the account.
            own_bytes: by how much the account's total would grow.
            more_bytes: by how much the store's total would grow.
        """
        if account is UNKNOWN_PEER:
            return False
        if self._is_above_limit(account, own_bytes):
            return True
        return exceeds_share(
            account.stored_bytes + own_bytes,
            self.used_bytes + more_bytes,
            self._size_bytes,
            self.accounts + (account.stored_bytes == 0),
        )

    def _is_above_limit(self, account: Account, own_bytes: int) -> bool:
        """Return whether an account would have more than any one account may."""
        most_bytes = self._account_limit_bytes
        return most_bytes is not None and account.stored_bytes + own_bytes > most_bytes

    def _why(self, account: Account, own_bytes: int) -> str:
        """Return why an account counts as above its share, as a constant text."""
        if self._is_above_limit(account, own_bytes):
            return "this address is above its limit (--address-limit stored)"
        return "the store is nearly full, and this address has more than its share"

    def _take_slack(
        self, account: Account, growth_bytes: int, is_above_share: bool
    ) -> None:
        """Charge the growth of a value to the slack, or raise."""
        own_bytes = self._slack.get(account, 0) + growth_bytes
        total_bytes = self.slack_bytes + growth_bytes
        most_bytes = SLACK_BYTES
        # Below the budget, only accounts above their share are charged at all.  The
        # smaller limit keeps them from using up the last quarter of a small budget.
        if is_above_share:
            most_bytes = min(most_bytes, self._size_bytes // _SLACK_PART)
        if total_bytes > most_bytes or exceeds_share(
            own_bytes, total_bytes, SLACK_BYTES, max(1, self.accounts)
        ):
            raise self._refusal(
                "no growth: the store is full, and the room for growth of existing keys"
                " is used up",
                account,
            )
        self._slack[account] = own_bytes
        self.slack_bytes = total_bytes

    def _give_slack_back(self, account: Account, size_bytes: int) -> None:
        """Return slack when a value of an account shrinks or is deleted."""
        account = account.heir or account
        own_bytes = self._slack.get(account)
        if own_bytes is not None:
            # At most what the account has taken: the value that shrinks may have grown
            # while there was room, and its growth was not charged to the slack then.
            given_bytes = min(own_bytes, size_bytes)
            self.slack_bytes -= given_bytes
            if given_bytes == own_bytes:
                del self._slack[account]
            else:
                self._slack[account] = own_bytes - given_bytes

    def _refill_slack(self) -> None:
        """Reset the slack once there is room again.

        This is early enough when something is checked: whatever takes the store past
        three quarters of the budget is checked before it is added.
        """
        if self._slack and self.used_bytes <= self.unchecked_bytes:
            self._slack.clear()
            self.slack_bytes = 0

    def _refusal(self, reason: str, account: Account) -> LimitError:
        self.refused += 1
        return LimitError(
            reason,
            f"{self.used_bytes} of {self._size_bytes} bytes are used"
            f" (--store-budget), {account.stored_bytes} of them by {account.name}",
        )
