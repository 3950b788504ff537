"""Which new connections are accepted when descriptors run short.

A number of connections that an administrator has set for each address
(``--address-limit connections=N``) applies at any time: past it, a new connection is
refused.

Apart from that, every connection is accepted until three quarters of the possible
connections are open.  Above that, no address gets more than an equal share: if it
already has its share, a new connection replaces an expendable one of the same address,
or is refused.  When all possible connections are open, an expendable connection of any
address is closed to make room for a new one.  A connection is expendable if it has
never sent a byte, or if it was refused and its peer has not closed its end.  Once none
is left, so is one that has been idle for half a minute (`server.io.idle_search`), and
until one is found, a costly connection goes (`fairness.backlog`).

Above three quarters, an address that opens connections too fast must also make room by
giving up its own.  But if its expendable connections turn out to have sent something
just now, the new connection is kept, because it may be a worker's, at an address that
many share.

A decision has one side effect: it charges the new connection to its account's rate.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pacemaker.core.accounts.account import (
    DEFAULT_LIMITS,
    PRESSURE,
    Account,
    AddressLimits,
    exceeds_share,
)
from pacemaker.core.accounts.registry import AccountRegistry

# Why an address gets no further connection, for the log.
OVER_LIMIT: Final = "its address has as many connections as --address-limit allows"
OVER_SHARE: Final = "its address has used up its share of the connections"
TOO_FAST: Final = "connections from its address come too fast"


class AdmissionDecision(Enum):
    """What happens to a new connection."""

    ACCEPT = "accept"
    MAKE_ROOM = "make room"
    MAKE_OWN_ROOM = "make room at its address"
    REPLACE_OWN = "replace one of its address"
    REFUSE = "refuse"


class AdmissionControl:
    """Decides about new connections.

    Args:
        accounts: the accounts of all open connections, including the new one.
        capacity: how many connections may be open.
        address_limits: what one account may use.

    Attributes:
        most_of_address: how many connections an administrator allows each account; None
            for no such limit.
    """

    def __init__(
        self,
        accounts: AccountRegistry,
        capacity: int,
        address_limits: AddressLimits = DEFAULT_LIMITS,
    ) -> None:
        self._accounts = accounts
        self._capacity = capacity
        self._limits = address_limits
        self.most_of_address = address_limits.connections

    def decide(self, account: Account, now_s: float) -> AdmissionDecision:
        """Decide about a new connection, which its account has counted already."""
        used, most = account.connections, self.most_of_address
        if most is not None and used > most:
            return AdmissionDecision.REFUSE
        total, accounts = self._accounts.connections, self._accounts.active_accounts
        is_too_often = account.connects_too_often(now_s, self._limits)
        # If all connections are of one address, there is nobody to protect from it.
        if used < total:
            # One connection is never too much for an address, however many addresses
            # there are and however small the equal share is.
            if used > 1 and exceeds_share(used, total, self._capacity, accounts):
                return AdmissionDecision.REPLACE_OWN
            if is_too_often and total > PRESSURE * self._capacity:
                # Not REFUSE: it may be a worker's, whose first bytes arrive soon.
                return AdmissionDecision.MAKE_OWN_ROOM
        return (
            AdmissionDecision.MAKE_ROOM
            if total > self._capacity
            else AdmissionDecision.ACCEPT
        )
