"""The state of one Pacemaker: when it is complete, and a witness."""

from __future__ import annotations

from pacemaker.relay.core import limits
from pacemaker.relay.core.standing import Reads, Standing


def test_pacemaker_is_complete_once_it_has_been_up_for_long() -> None:
    """By then, every living worker has reached it."""
    standing = Standing()
    assert not standing.is_complete(100.0)
    standing.pulses_up(100.0)
    assert not standing.is_complete(100.0 + limits.COMPLETE_S - 0.1)
    assert standing.is_complete(100.0 + limits.COMPLETE_S)


def test_interruption_begins_the_time_again() -> None:
    """After an interruption the time starts again: it may have been restarted."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.pulses_down(50.0)
    standing.pulses_up(51.0)
    assert not standing.is_complete(60.0)
    assert standing.is_complete(51.0 + limits.COMPLETE_S)


def test_interruption_of_reads_counts_too() -> None:
    """On a host without workers, the pulse connection is idle and notices nothing."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.reads_up(50.0)
    assert standing.is_complete(50.0)
    standing.reads_down(60.0)
    standing.reads_up(61.0)
    assert not standing.is_complete(62.0)
    assert standing.is_complete(61.0 + limits.COMPLETE_S)


def test_pacemaker_that_was_complete_is_a_witness_for_a_while() -> None:
    """It may know a newer heartbeat than the remaining ones."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.pulses_down(50.0)
    assert standing.is_witness(50.0 + limits.OLDER_S - 0.1)
    assert not standing.is_witness(50.0 + limits.OLDER_S)


def test_pacemaker_that_was_not_complete_is_no_witness() -> None:
    """An incomplete Pacemaker proves nothing about other heartbeats."""
    standing = Standing()
    standing.pulses_up(0.0)
    standing.pulses_down(1.0)
    assert not standing.is_witness(1.0)


def test_new_connection_is_not_slow() -> None:
    """A new connection is not slow, even if the old one was."""
    standing = Standing()
    standing.is_slow = True
    standing.reads_up(0.0)
    assert standing.reads is Reads.UP
    assert not standing.is_slow
