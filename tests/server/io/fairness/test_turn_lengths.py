"""Tests of pacemaker.server.io.fairness.turn_lengths."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.fairness.spending import CROWD_S, Spending
from pacemaker.server.io.fairness.turn_lengths import (
    MANY_ENDED,
    TURN_S,
    UNEVEN_FROM_S,
    backlog_s,
    cheap_s,
    is_even,
    is_too_long,
)

HALF_S = TURN_S / 2
MANY = 10_000


@dataclass
class Talk:
    """What a peer has shown itself to be."""

    is_worker_or_reader: bool = True


@dataclass
class Peer:
    """A connection whose requests are ready."""

    cost_class: int = 0
    account: Account = field(default_factory=lambda: Account("192.0.2.1"))
    protocol: Talk = field(default_factory=Talk)


def spent(seconds: float) -> Spending:
    """Return what accounts have used, of which one has used this much."""
    spending = Spending(0.0)
    if seconds:
        spending.charge(Account("192.0.2.2"), seconds)
    return spending


IDLE, EVEN, UNEVEN = spent(0.0), spent(UNEVEN_FROM_S), spent(1.1 * UNEVEN_FROM_S)
CROWDED = spent(1.1 * CROWD_S)


def test_turns_are_even_until_one_account_stands_out() -> None:
    """A crowd is never even."""
    evenness = [is_even(each) for each in (IDLE, EVEN, UNEVEN, CROWDED)]
    assert evenness == [True, True, False, False]


@pytest.mark.parametrize(
    ("cpu_s", "served", "ended", "has_many_new", "is_shared"),
    [
        (TURN_S, 1, MANY, True, False),
        (1.1 * TURN_S, 1, 0, False, True),
        (0.001 * MANY, MANY, 0, False, True),
        (0.00001 * MANY, MANY, 0, False, False),
        (0.00001 * MANY, MANY, 0, True, True),
        (0.00001 * MANY, MANY, MANY_ENDED, False, False),
        (0.00001 * MANY, MANY, MANY_ENDED + 1, False, True),
    ],
    ids=["short", "costly", "all costly", "cheap", "new", "few ended", "many ended"],
)
def test_long_turn_is_shared_unless_many_cheap_requests_made_it_long(
    cpu_s: float, served: int, ended: int, has_many_new: bool, is_shared: bool
) -> None:
    """Nobody knows what new connections cost, and those that end wait for nothing."""
    assert is_too_long(cpu_s, served, ended, has_many_new) is is_shared


@pytest.mark.parametrize("spending", [IDLE, UNEVEN, CROWDED])
@pytest.mark.parametrize("cost_class", [4, 9])
def test_costly_requests_are_always_put_off(
    spending: Spending, cost_class: int
) -> None:
    """If they are served at all, then from the backlog."""
    assert cheap_s(Peer(cost_class), spending, 0.0, 0) == 0.0


def test_cheapest_requests_have_less_time_the_less_even_the_accounts_are() -> None:
    """A crowd leaves half of a turn."""
    even, uneven, crowded = (
        cheap_s(Peer(), spending, 0.0, 0) for spending in (EVEN, UNEVEN, CROWDED)
    )
    assert even > uneven > crowded == HALF_S


@pytest.mark.parametrize(
    ("peer", "served_s", "is_batch"),
    [
        (Peer(1), 0.0001 * MANY, True),
        (Peer(1), 0.001 * MANY, False),
        (Peer(1, protocol=Talk(is_worker_or_reader=False)), 0.0001 * MANY, False),
    ],
    ids=["batches", "costly batches", "strangers"],
)
def test_cheap_batches_of_workers_have_more_time(
    peer: Peer, served_s: float, is_batch: bool
) -> None:
    """Not those of strangers, and none while there is a crowd."""
    assert (cheap_s(peer, EVEN, served_s, MANY) > HALF_S) is is_batch
    assert cheap_s(peer, CROWDED, served_s, MANY) == HALF_S


def test_account_with_many_connections_has_no_more_time_for_batches() -> None:
    """A relay has two; many like it need not be a crowd to make turns long."""
    peer = Peer(1)
    peer.account.connections = 2
    assert cheap_s(peer, EVEN, 0.0, 1) > HALF_S
    peer.account.connections = 3
    assert cheap_s(peer, EVEN, 0.0, 1) == HALF_S


@pytest.mark.parametrize("are_costly", [False, True])
def test_backlog_has_half_of_a_turn_while_there_is_a_crowd(are_costly: bool) -> None:
    """However long the first part took."""
    assert backlog_s(CROWDED, are_costly, 0.03) == HALF_S


def test_backlog_has_as_much_time_as_the_first_part() -> None:
    """But at least half of a turn, and not so much that the turn becomes too long."""
    assert backlog_s(EVEN, False, 0.0) == HALF_S
    assert backlog_s(EVEN, False, 0.01) == 0.01
    assert backlog_s(EVEN, False, 0.04) == pytest.approx(0.01)
    assert backlog_s(EVEN, False, 0.06) == HALF_S


def test_costly_requests_alone_have_two_turns() -> None:
    """They gain nothing by waiting for each other."""
    assert backlog_s(EVEN, True, 0.0) == 2 * TURN_S
