"""Tests of pacemaker.client.backoff."""

from __future__ import annotations

import random

from pacemaker.client.backoff import FIRST_DELAY_S, MAX_DELAY_S, Backoff


def new_backoff(seed: int = 1) -> Backoff:
    """Make one whose chance is repeatable."""
    return Backoff(random.Random(seed))  # noqa: S311  (no secret)


def test_backoff_doubles_up_to_its_bound() -> None:
    """Each delay is in the upper half of twice the last one's bound, up to the most."""
    backoff = new_backoff()
    bound_s = FIRST_DELAY_S
    for _ in range(20):
        assert bound_s / 2 <= backoff.next_delay_s() <= bound_s
        bound_s = min(2 * bound_s, MAX_DELAY_S)
    assert bound_s == MAX_DELAY_S


def test_backoff_begins_anew() -> None:
    """After an answer the first delay is the shortest again."""
    backoff = new_backoff()
    for _ in range(20):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() <= FIRST_DELAY_S


def test_backoff_spreads_clients() -> None:
    """Clients that lost a server at the same moment do not all come back at one."""
    delays = {new_backoff(seed).next_delay_s() for seed in range(100)}
    assert len(delays) == 100
