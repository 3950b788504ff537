"""The state of one Pacemaker: when it is complete, and when it may know more."""

from __future__ import annotations

from pacemaker.relay.core import limits
from pacemaker.relay.core.pacemaker_state import PacemakerState, ReadLinkPhase


def test_pacemaker_is_complete_once_it_has_been_up_for_long() -> None:
    """By then, every living worker has reached it."""
    pacemaker = PacemakerState()
    assert not pacemaker.is_complete(100.0)
    pacemaker.pulses_up(100.0)
    assert not pacemaker.is_complete(100.0 + limits.COMPLETE_AFTER_S - 0.1)
    assert pacemaker.is_complete(100.0 + limits.COMPLETE_AFTER_S)


def test_interruption_begins_the_time_again() -> None:
    """After an interruption the time starts again: it may have been restarted."""
    pacemaker = PacemakerState()
    pacemaker.pulses_up(0.0)
    pacemaker.pulses_down(50.0)
    pacemaker.pulses_up(51.0)
    assert not pacemaker.is_complete(60.0)
    assert pacemaker.is_complete(51.0 + limits.COMPLETE_AFTER_S)


def test_interruption_of_reads_counts_too() -> None:
    """On a host without workers, the pulse connection is idle and notices nothing."""
    pacemaker = PacemakerState()
    pacemaker.pulses_up(0.0)
    pacemaker.reads_up(50.0)
    assert pacemaker.is_complete(50.0)
    pacemaker.reads_down(60.0)
    pacemaker.reads_up(61.0)
    assert not pacemaker.is_complete(62.0)
    assert pacemaker.is_complete(61.0 + limits.COMPLETE_AFTER_S)


def test_pacemaker_that_was_complete_may_know_newer_for_a_while() -> None:
    """It may know a newer heartbeat than the remaining ones."""
    pacemaker = PacemakerState()
    pacemaker.pulses_up(0.0)
    pacemaker.pulses_down(50.0)
    assert pacemaker.may_know_newer(50.0 + limits.OLDER_HIT_HELD_S - 0.1)
    assert not pacemaker.may_know_newer(50.0 + limits.OLDER_HIT_HELD_S)


def test_pacemaker_that_was_not_complete_knows_nothing_newer() -> None:
    """An incomplete Pacemaker proves nothing about other heartbeats."""
    pacemaker = PacemakerState()
    pacemaker.pulses_up(0.0)
    pacemaker.pulses_down(1.0)
    assert not pacemaker.may_know_newer(1.0)


def test_new_connection_is_not_slow() -> None:
    """A new connection is not slow, even if the old one was."""
    pacemaker = PacemakerState()
    pacemaker.is_slow = True
    pacemaker.reads_up(0.0)
    assert pacemaker.read_link is ReadLinkPhase.UP
    assert not pacemaker.is_slow
