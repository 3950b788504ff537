"""The new connections of an I/O thread: nobody knows yet what their events cost.

A connection is new for a fixed time.  Costs are measured in shared turns only
(`fair_turns`), and most workers have never seen one when an attack begins.  So one
whose cost is unknown when that time is over counts as cheap.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.cost_classes import NEW_CLASS

# If more connections than this are new, nobody knows yet what their events cost.
MANY: Final = 64


class Newcomer(Protocol):
    """Anything that may be new; `backlog.Waiting` describes the attributes."""

    account: Account
    cost_class: int
    newness: int


_T = TypeVar("_T", bound=Newcomer)


class Newcomers(Generic[_T]):
    """New connections, the oldest first.  Only one thread may call the methods."""

    def __init__(self) -> None:
        # Until when each is new.  (A dict would have to pass all that were removed to
        # find the oldest.)
        self._until_s: OrderedDict[_T, float] = OrderedDict()
        # How many of them have no shared address.
        self._elsewhere = 0

    def __iter__(self) -> Iterator[_T]:
        return iter(self._until_s)

    @property
    def are_many(self) -> bool:
        """Whether nobody knows yet what many connections cost.

        Those of shared addresses, from which a whole cluster may connect, do not count.
        """
        return self._elsewhere > MANY

    def add(self, connection: _T, until_s: float) -> None:
        """Add a connection that is new until some time, later than all others."""
        self._until_s[connection] = until_s
        self._elsewhere += connection.account.shared_account is None

    def discard(self, connection: _T) -> None:
        """Forget a connection that has ended, or is not new any more.

        If it were kept for the rest of its time, thousands of them that come and go
        would survive young collections of garbage, which then take 20 ms.
        """
        if self._until_s.pop(connection, None) is not None:
            self._elsewhere -= connection.account.shared_account is None
            connection.newness = 0

    def trust_aged(self, now_s: float) -> None:
        """Forget those whose time is over, and trust those of unknown cost."""
        while self._until_s:
            connection, until_s = next(iter(self._until_s.items()))
            if until_s > now_s:
                break
            # Its cost was only guessed, or has hardly been measured.
            is_guessed = connection.newness < 0 or connection.cost_class == NEW_CLASS
            self.discard(connection)
            if is_guessed:
                connection.cost_class = 0
