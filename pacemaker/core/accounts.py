"""What each peer address uses, and when that is more than its share.

Everything scarce (stored heartbeats, buffers, held reads, descriptors, the I/O
thread's time) is counted per *account*.  An account is one peer address, or one
connection of an address that many workers share, such as a proxy's.

A limit refuses nothing while there is plenty: only once the whole is more than
`PRESSURE` used, and then only to accounts that use more than an equal share.  So no
address can take what the others need, and no cluster meets a limit in normal use,
even if all of its workers come from one address.

What costs time rather than room, new keys and lists, is delayed and not refused
(`Account.settle`).

Pure: time comes in as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# The part of the whole above which accounts are held to their equal shares.
PRESSURE: Final = 0.75

# An account is settled once it has made this many new keys, or was given this many
# lists: often enough to hold it to its rate, and seldom enough to cost nothing.
SETTLED_KEYS: Final = 32
SETTLED_LISTS: Final = 32


# For how many seconds an account may do at once what its rates allow.
BURST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class AddressLimits:
    """What one account may use.

    A limit of None is an equal share of the whole, and holds only once three quarters
    of that are used; a number holds at any time.  The rates are far above any cluster
    of Storm's: a host starts some hundred workers, and Nimbus asks for one list every
    ten seconds.

    Attributes:
        connections: connections that are open.
        connections_per_s: new connections; held to it under `PRESSURE` alone.
        stored_bytes: memory of the heartbeats that it wrote last.
        buffered_bytes: unread and unsent bytes.
        held_read_bytes: memory of its reads that are held.
        new_keys_per_s: heartbeats under a key that was not there.
        lists_per_s: lists of up to a thousand names; a longer one counts for each
            thousand.
        guesses_per_s: failed attempts to authenticate that it is told of.
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


class Bucket:
    """A token bucket that is counted in seconds: full, it holds `BURST_S`."""

    __slots__ = ("_charged_s", "_credit_s")

    def __init__(self) -> None:
        self._credit_s: float | None = None
        self._charged_s = 0.0

    def charge(self, cost_s: float, now_s: float) -> float:
        """Take something out.

        Args:
            cost_s: how long it takes to earn that again.
            now_s: the time, in seconds that only grow.

        Returns:
            How long it takes until the bucket is not overdrawn; 0 if it is not.
        """
        if self._credit_s is None:
            credit_s = BURST_S
        else:
            earned_s = max(0.0, now_s - self._charged_s)
            credit_s = min(BURST_S, self._credit_s + earned_s)
        self._credit_s = credit_s - cost_s
        self._charged_s = now_s
        return max(0.0, -self._credit_s)


class Account:
    """What one peer address uses.

    Each total belongs to the component that counts it, and is changed under that
    component's lock only.  The times belong to the I/O threads: what two of them
    add at one instant may be lost, which costs nobody anything.

    Args:
        name: the address, for the log.

    Attributes:
        name: the same.
        connections: connections that are open (`server.addresses`).
        stored_bytes: what the heartbeats that it wrote last would take if nothing
            else were stored (the store): the nodes above them included, or a long
            path would cost its writer nothing.
        buffered_bytes: unread and unsent bytes of its connections (the budget).
        held_read_bytes: memory of its reads that are held (the holding).
        new_keys: keys that it has made since they were last settled (the store).
        lists: lists that it was given since then (dispatch).
        spent_s: time that the I/O threads have lately spent on it; it fades.
    """

    __slots__ = (
        "_arrivals",
        "_work",
        "buffered_bytes",
        "connections",
        "held_read_bytes",
        "lists",
        "name",
        "new_keys",
        "spent_s",
        "stored_bytes",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.stored_bytes = 0
        self.buffered_bytes = 0
        self.held_read_bytes = 0
        self.new_keys = 0
        self.lists = 0
        self.spent_s = 0.0
        self._work = Bucket()
        self._arrivals = Bucket()

    def __repr__(self) -> str:
        return f"<Account {self.name} connections={self.connections}>"

    @property
    def is_charged(self) -> bool:
        """Whether so much has been done since `settle` that it is worth a call."""
        return self.new_keys >= SETTLED_KEYS or self.lists >= SETTLED_LISTS

    def settle(self, now_s: float, limits: AddressLimits) -> float:
        """Charge the new keys and the lists since the last call.

        Returns:
            How many seconds the account has to wait before it may do more; 0 if
            it has credit left.
        """
        new_keys, self.new_keys = self.new_keys, 0
        lists, self.lists = self.lists, 0
        cost_s = new_keys / limits.new_keys_per_s + lists / limits.lists_per_s
        return self._work.charge(cost_s, now_s)

    def arrives_too_often(self, now_s: float, limits: AddressLimits) -> bool:
        """Charge a new connection; return whether there were too many lately."""
        return self._arrivals.charge(1 / limits.connections_per_s, now_s) > 0


# The writer of heartbeats whose writer is not known, such as those that a process
# found when it started.  It uses nothing that anybody counts, so it is never above
# its share; its totals, which all stores of a process change, mean nothing.
NOBODY: Final = Account("nobody")


def exceeds_share(used: int, total: int, whole: int, accounts: int) -> bool:
    """Return whether one account must not be given more.

    Args:
        used: what the account uses, the amount that it asks for included.
        total: what all accounts use, that amount included.
        whole: what there is.
        accounts: how many accounts use any of it, this one included.
    """
    return total > PRESSURE * whole and used * accounts > whole
