"""Which new connections are taken when descriptors become few.

Up to three quarters of what the process may open, every connection is taken.  Above
that no address gets more than an equal share, and when all are taken, one that has
never sent a byte has to go for one that may.

Pure, but for the accounts' own lock.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pacemaker.core import limits
from pacemaker.core.accounts import (
    DEFAULT_LIMITS,
    PRESSURE,
    Account,
    AddressLimits,
    exceeds_share,
)
from pacemaker.core.addresses import Accounts

# Descriptors of the daemon's own: the standard streams, the listening sockets, files,
# and what each I/O thread waits with.
_OWN_DESCRIPTORS: Final = 16
_DESCRIPTORS_PER_THREAD: Final = 2


class Verdict(Enum):
    """What becomes of a new connection."""

    TAKE = "take"
    MAKE_ROOM = "make room"
    REFUSE = "refuse"


class Admission:
    """Judges new connections.

    Args:
        accounts: the accounts of all that are open, the new one included.
        capacity: how many connections may be open.
        address_limits: what one account may have.
    """

    def __init__(
        self,
        accounts: Accounts,
        capacity: int,
        address_limits: AddressLimits = DEFAULT_LIMITS,
    ) -> None:
        self._accounts = accounts
        self._capacity = capacity
        self._limits = address_limits

    def judge(self, account: Account, now_s: float) -> Verdict:
        """Say what becomes of a connection that its account has counted already."""
        used, most = account.connections, self._limits.connections
        if most is not None and used > most:
            return Verdict.REFUSE
        total, accounts = self._accounts.connections, self._accounts.connected
        is_too_often = account.arrives_too_often(now_s, self._limits)
        if is_too_often and total > PRESSURE * self._capacity:
            return Verdict.REFUSE
        # One connection is nobody's too much, however many addresses there are.
        if used > 1 and exceeds_share(used, total, self._capacity, accounts):
            return Verdict.REFUSE
        return Verdict.MAKE_ROOM if total > self._capacity else Verdict.TAKE


def capacity(descriptors: int, io_threads: int) -> int:
    """Return how many connections fit.

    Less than the kernel allows: the acceptor takes a batch before the connections
    that make room for it are closed, and a reserve is left for reloads.

    Args:
        descriptors: how many the process may have open (RLIMIT_NOFILE).
        io_threads: how many I/O threads there are.
    """
    spare = limits.RESERVED_DESCRIPTORS + limits.ACCEPT_BATCH
    spare = min(spare, int(descriptors * limits.RESERVED_SHARE))
    own = _OWN_DESCRIPTORS + _DESCRIPTORS_PER_THREAD * io_threads
    return max(1, descriptors - own - spare)
