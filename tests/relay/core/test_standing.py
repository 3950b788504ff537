"""The state of one Pacemaker: when it is complete, and a witness."""

from __future__ import annotations

from pacemaker.relay.core import limits
from pacemaker.relay.core.standing import Reads, Standing


def test_pacemaker_is_complete_once_it_has_been_up_for_long() -> None:
    """Every worker that is alive has reached it by then."""
    standing = Standing()
    assert not standing.is_complete(100.0)
    standing.pulses_up(100.0)
    assert not standing.is_complete(100.0 + limits.COMPLETE_S - 0.1)
    assert standing.is_complete(100.0 + limits.COMPLETE_S)


def test_interruption_begins_the_time_again() -> None:
    """It may have been restarted meanwhile."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.pulses_down(50.0)
    standing.pulses_up(51.0)
    assert not standing.is_complete(60.0)
    assert standing.is_complete(51.0 + limits.COMPLETE_S)


def test_interruption_of_reads_counts_too() -> None:
    """Without workers on the host, nothing is sent over the other connection."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.reads_up(50.0)
    assert standing.is_complete(50.0)
    standing.reads_down(60.0)
    standing.reads_up(61.0)
    assert not standing.is_complete(62.0)
    assert standing.is_complete(61.0 + limits.COMPLETE_S)


def test_pacemaker_that_was_complete_is_a_witness_for_a_while() -> None:
    """It may know a newer heartbeat than those that are left."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.pulses_down(50.0)
    assert standing.is_witness(50.0 + limits.OLDER_S - 0.1)
    assert not standing.is_witness(50.0 + limits.OLDER_S)


def test_pacemaker_that_was_not_complete_is_no_witness() -> None:
    """It had nothing to tell."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.pulses_down(1.0)
    assert not standing.is_witness(1.0)


def test_new_connection_is_not_slow() -> None:
    """Whatever the old one was."""
    standing = Standing()
    standing.is_slow = True
    standing.reads_up(0.0)
    assert standing.reads is Reads.UP
    assert not standing.is_slow
