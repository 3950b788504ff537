"""What each peer address uses, and when that is more than its share.

Everything scarce (stored heartbeats, buffers, held reads, descriptors, the I/O
thread's time) is counted per *account*.  An account is one peer address, or one
connection of an address that many workers share, such as a proxy's.

A limit refuses nothing while there is plenty: only once the whole is more than
`PRESSURE` used, and then only to accounts that use more than an equal share.  So no
address can take what the others need, and no cluster meets a limit in normal use,
even if all of its workers come from one address.
"""

from __future__ import annotations

from typing import Final

# The part of the whole above which accounts are held to their equal shares.
PRESSURE: Final = 0.75


class Account:
    """What one peer address uses.

    Each total belongs to the component that counts it, and is changed under that
    component's lock only.

    Args:
        name: the address, for the log.

    Attributes:
        name: the same.
        connections: connections that are open.
        stored_bytes: what the heartbeats that it wrote last would take if nothing
            else were stored (the store's): the nodes above them included, or a long
            path would cost its writer nothing.
        new_keys: how many keys it has added to the store (the store's).
        lists: how many lists of a directory it was given (the dispatchers').
            Several I/O threads may count at once, and rarely lose one.
        buffered_bytes: unread and unsent bytes of its connections (the budget's).
        held_read_bytes: memory of its reads that are held (the holding's).
    """

    __slots__ = (
        "buffered_bytes",
        "connections",
        "held_read_bytes",
        "lists",
        "name",
        "new_keys",
        "stored_bytes",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.stored_bytes = 0
        self.new_keys = 0
        self.lists = 0
        self.buffered_bytes = 0
        self.held_read_bytes = 0

    def __repr__(self) -> str:
        return f"<Account {self.name} connections={self.connections}>"


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
