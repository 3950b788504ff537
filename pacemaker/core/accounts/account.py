"""What each peer address uses, and whether that is more than its share.

Every scarce resource (stored heartbeats, buffers, held reads, descriptors, the I/O
thread's time) is counted per *account*.  An account is one peer address, or one
connection of an address that many workers share, such as a proxy's.

By default, nothing is refused while a resource is plentiful.  Once more than `PRESSURE`
of it is used, only accounts that use more than an equal share are refused.  So no
address can take what the others need, and no cluster reaches a limit in normal use,
even if all of its workers come from one address.  An administrator may also set a
number (``--address-limit``), which applies at any time; only the rate of new
connections is enforced under `PRESSURE` alone.

New keys and lists cost time rather than memory, so they are delayed, not refused
(`Account.charge_work`).

This module reads no clock: time is passed in as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# When more than this fraction of a resource is used, accounts are limited to their
# equal shares.
PRESSURE: Final = 0.75

# The account of a connection is charged after this many new keys and lists of its own:
# often enough to enforce the account's rates, and seldom enough to cost nothing.  Below
# it, a connection never waits, whatever others at its address do.  A peer that connects
# again each time stays below it, and is never delayed for this.  Even so it cannot take
# the time of others (`fair_turns`), nor more than its share of the store.
KEYS_AND_LISTS_PER_CHARGE: Final = 32

# The largest burst: what an account's rates allow in this many seconds.
BURST_S: Final = 5.0

# The most that an account may owe, in seconds.  Otherwise a peer that connects again
# and again could run up a debt of minutes, and leave it to the others at its address.
MAX_DEBT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class AddressLimits:
    """What one account may use.

    A limit of None stands for an equal share of the resource.  It applies only while
    more than three quarters of the resource are used.  A number applies at any time,
    except for `connections_per_s`.  The rates are far above what a Storm cluster needs:
    a host starts some hundred workers, and Nimbus asks for one list every ten seconds.

    Attributes:
        connections: open connections.
        connections_per_s: new connections per second; enforced only under `PRESSURE`.
        stored_bytes: memory of the heartbeats of which it is the last writer.
        buffered_bytes: unread and unsent bytes.
        held_read_bytes: memory of its held reads.
        new_keys_per_s: heartbeats under keys that did not exist, per second.
        lists_per_s: lists of up to a thousand names, per second; a longer list counts
            once for each thousand.
        guesses_per_s: refusals sent after failed attempts to authenticate, per second.
    """

    connections: int | None = None
    connections_per_s: float = 1000.0
    stored_bytes: int | None = None
    buffered_bytes: int | None = None
    held_read_bytes: int | None = None
    new_keys_per_s: float = 1000.0
    lists_per_s: float = 1000.0
    guesses_per_s: float = 1.0


DEFAULT_LIMITS: Final = AddressLimits()


class TokenBucket:
    """A token bucket, counted in seconds: from `-MAX_DEBT_S` to `BURST_S`."""

    __slots__ = ("_charged_s", "_credit_s")

    def __init__(self) -> None:
        self._credit_s: float | None = None
        self._charged_s = 0.0

    def charge(self, cost_s: float, now_s: float) -> float:
        """Subtract a cost; the bucket may become overdrawn.

        Args:
            cost_s: the cost, as the time that it takes to earn it back.
            now_s: the time in seconds, of a clock that never goes back.

        Returns:
            How long it takes until the bucket is no longer overdrawn; 0 if it is not.
        """
        if self._credit_s is None:
            credit_s = BURST_S
        else:
            earned_s = max(0.0, now_s - self._charged_s)
            credit_s = min(BURST_S, self._credit_s + earned_s)
        self._credit_s = max(credit_s - cost_s, -MAX_DEBT_S)
        self._charged_s = now_s
        return max(0.0, -self._credit_s)


class Account:
    """What one peer address uses.

    `connections`, `stored_bytes`, `buffered_bytes` and `heir` belong to the component
    in parentheses, which changes them under its own lock only.  The I/O threads change
    `spent_s`, `pending_bytes` and the uncharged keys and lists without a lock of their
    own.  If two of them change the same number at the same instant, one change may be
    lost: an address then gets a little more or less time than is due to it.  No
    decision depends on `pending_bytes`, because each I/O thread limits the memory of
    its own requests.

    Args:
        name: the address, for the log.

    Attributes:
        name: the address, for the log.
        shared_account: the account of the whole address, if many workers share it and
            each of their connections has an account of its own
            (`core.accounts.registry`).
        connections: open connections (`core.accounts.registry`).
        stored_bytes: what the heartbeats of which it is the last writer would take if
            nothing else were stored (the store).  This includes the nodes above them:
            otherwise a long path would cost its writer nothing.
        buffered_bytes: unread and unsent bytes of its connections (the budget).
        pending_bytes: memory of its held reads, or in a relay of its requests that
            wait for the Pacemakers.
        uncharged_new_keys: keys that it has created and was not charged for yet.
        uncharged_lists: lists that it has requested and was not charged for yet.
        heir: the account that has taken over its heartbeats; None unless it is gone
            for good (the store).
        spent_s: time that the I/O threads have recently spent on it; it fades.
    """

    __slots__ = (
        "_arrivals",
        "_work",
        "buffered_bytes",
        "connections",
        "heir",
        "name",
        "pending_bytes",
        "shared_account",
        "spent_s",
        "stored_bytes",
        "uncharged_lists",
        "uncharged_new_keys",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.shared_account: Account | None = None
        self.connections = 0
        self.stored_bytes = 0
        self.buffered_bytes = 0
        self.pending_bytes = 0
        self.uncharged_new_keys = 0
        self.uncharged_lists = 0
        self.heir: Account | None = None
        self.spent_s = 0.0
        self._work = TokenBucket()
        self._arrivals = TokenBucket()

    def __repr__(self) -> str:
        return f"<Account {self.name} connections={self.connections}>"

    @property
    def address_account(self) -> Account:
        """The account of the whole address.  The I/O threads take these in turn."""
        return self.shared_account or self

    def charge_work(self, now_s: float, limits: AddressLimits) -> float:
        """Charge the new keys and the lists since the last call.

        Returns:
            How many seconds the account has to wait before it may do more; 0 if it has
            credit left.
        """
        new_keys, self.uncharged_new_keys = self.uncharged_new_keys, 0
        lists, self.uncharged_lists = self.uncharged_lists, 0
        cost_s = new_keys / limits.new_keys_per_s + lists / limits.lists_per_s
        return self._work.charge(cost_s, now_s)

    def share_s(self, limits: AddressLimits) -> float:
        """Return the time between two charges of a connection with an equal share.

        If the account is overdrawn, a connection that takes longer is not to blame.
        """
        per_s = min(limits.new_keys_per_s, limits.lists_per_s)
        return self.connections * KEYS_AND_LISTS_PER_CHARGE / per_s

    def connects_too_often(self, now_s: float, limits: AddressLimits) -> bool:
        """Charge a new connection; return whether there were too many recently."""
        return self._arrivals.charge(1 / limits.connections_per_s, now_s) > 0


# The account of a peer whose address is unknown, such as the writer of a heartbeat that
# an upgrade has carried over.  It is never above its share.  Its totals mean nothing,
# because all stores of a process change them.
UNKNOWN_PEER: Final = Account("unknown peer")


def exceeds_share(used: int, total: int, capacity: int, accounts: int) -> bool:
    """Return whether one account must not be given more.

    Args:
        used: what the account uses, including the amount that it asks for.
        total: what all accounts use, including that amount.
        capacity: the size of the resource.
        accounts: how many accounts use any of the resource, including this one.
    """
    return total > PRESSURE * capacity and used * accounts > capacity
