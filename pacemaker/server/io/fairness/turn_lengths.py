"""How long each part of a turn may take.

While an account is a *crowd* (`spending.is_crowd`), each of the two parts of a shared
turn has half of `TURN_S`.  Otherwise both may take longer, because putting
connections off would cost more than it gains.

This module does no I/O; times are passed in.
"""

from __future__ import annotations

from typing import Final, Protocol

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.spending import Spending

# The time that a shared turn divides while there is a crowd: half of it serves cheap
# requests, and half the backlog.  A heartbeat then waits for two turns at most.
TURN_S: Final = 0.0015

# In classes up to this one (see `cost_classes`) an event takes under 0.8 ms.
_CHEAPEST_CLASSES: Final = 3
# If each event of a turn takes no more than this on average, the events come from many
# workers.
_CHEAP_EVENT_S: Final = 0.00008
# If more connections have ended in one turn, the requests of others do not wait for the
# rest.
MANY_ENDED: Final = 64

# How long cheap requests are served first while no account is a crowd.  If all accounts
# have used about as little time, that is much longer than a thousand requests take: if
# some were put into the backlog, later turns would be shared too, and their events
# would take longer, so more would be put there.  But if one has used more than
# `UNEVEN_FROM_S` in about the last half second, many like it may take all the time
# together, and Nimbus, which reads one heartbeat after another, waits for a whole turn
# each time.
_CHEAP_TURN_S: Final = 0.05
UNEVEN_FROM_S: Final = 0.005
_UNEVEN_TURN_S: Final = 0.004
# The same for workers and readers that have sent several requests at once, while an
# event takes no more than `_CHEAP_BATCH_S` on average.  To put one off takes about as
# long as fifteen pulses that arrive together.  (Fifty take 50 us, and on a busy
# machine, in a shared turn, 100.)  Not for new or refused connections: thousands may
# come at once.  Nor for accounts with more connections than a relay has, which need not
# be a crowd to make turns so long that Nimbus falls behind: it reads a hundred
# heartbeats a second.
_CHEAP_BATCHES_S: Final = 0.006
_CHEAP_BATCH_S: Final = 0.00012
_FEW_CONNECTIONS: Final = 2
# How long the backlog is served if no cheap request is ready: one that arrives
# meanwhile waits for it.
_COSTLY_TURN_S: Final = 2 * TURN_S


class Conversation(Protocol):
    """What a connection's peer has shown itself to be."""

    @property
    def is_worker_or_reader(self) -> bool:
        """Whether the peer has sent what a worker or Nimbus sends."""


class Ready(Protocol):
    """A connection with requests that are ready.

    Attributes:
        account: the account of its address.
        cost_class: what serving it costs (`cost_classes`).
    """

    account: Account
    cost_class: int

    @property
    def protocol(self) -> Conversation:
        """Its protocol object."""


def is_even(spending: Spending) -> bool:
    """Return whether no account has lately used much more time than others."""
    return not spending.is_crowded and spending.most_spent_s <= UNEVEN_FROM_S


def is_too_long(cpu_s: float, served: int, ended: int, has_many_new: bool) -> bool:
    """Return whether the rest of a turn has to be shared.

    Many cheap events, which is what a busy cluster sends, may take longer: sharing
    would cost more than it gains.  That does not hold for many new connections, as
    nobody knows yet what they cost, nor for many that end, as they wait for no reply.
    A turn that was long only because the process was interrupted need not be shared
    either, so CPU time counts, not elapsed time.

    Args:
        cpu_s: how much CPU time the turn has taken.
        served: how many events it has served.
        ended: how many connections have ended in it.
        has_many_new: whether many connections are new.
    """
    return cpu_s > TURN_S and (
        cpu_s > served * _CHEAP_EVENT_S or has_many_new or ended > MANY_ENDED
    )


def cheap_s(
    connection: Ready, spending: Spending, served_s: float, served: int
) -> float:
    """Return until when a shared turn serves a connection, and does not put it off.

    Args:
        connection: the connection.
        spending: what the accounts have used lately.
        served_s: how long the turn has served such requests.
        served: how many events those were.
    """
    if connection.cost_class > _CHEAPEST_CLASSES:
        return 0.0
    if not spending.is_crowded:
        if connection.cost_class == 0:
            return _CHEAP_TURN_S if is_even(spending) else _UNEVEN_TURN_S
        is_cheap = served_s <= served * _CHEAP_BATCH_S
        are_few = connection.account.connections <= _FEW_CONNECTIONS
        if is_cheap and are_few and connection.protocol.is_worker_or_reader:
            return _CHEAP_BATCHES_S
    return TURN_S / 2


def backlog_s(spending: Spending, are_costly: bool, served_s: float) -> float:
    """Return how long a shared turn serves the backlog.

    Args:
        spending: what the accounts have used lately.
        are_costly: whether only costly requests were ready.
        served_s: how long serving what was ready took.
    """
    if spending.is_crowded:
        return TURN_S / 2
    # Nobody is a crowd, so the backlog is everybody's: a thousand workers that have
    # just connected, say.  It gets as much as the others had, unless the turn would
    # become too long; otherwise some of them would wait for seconds.  If only costly
    # requests are ready, they gain nothing by waiting for each other, and the sooner
    # all are served, the sooner turns need not be shared any more.
    if are_costly:
        return _COSTLY_TURN_S
    return max(TURN_S / 2, min(served_s, _CHEAP_TURN_S - served_s))
