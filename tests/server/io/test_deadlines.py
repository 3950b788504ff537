"""Tests of pacemaker.server.io.deadlines: time is a number, and no peer is needed."""

from __future__ import annotations

import pytest

from pacemaker.server.io import limits
from pacemaker.server.io.deadlines import Deadlines

LATE_S = 1_000.0
"""Later than any time limit that began at 0."""


@pytest.fixture
def deadlines() -> Deadlines:
    """Give the deadlines of a new connection."""
    return Deadlines()


def test_silent_peer_has_no_deadline(deadlines: Deadlines) -> None:
    """A peer that has begun nothing may be silent for ever."""
    assert deadlines.request_overdue(LATE_S, 0) is None
    assert not deadlines.has_sasl


def test_frame_is_overdue_after_its_time(deadlines: Deadlines) -> None:
    """A frame has a minute from its first byte."""
    deadlines.begin_frame(0, 0.0)
    assert deadlines.request_overdue(limits.FRAME_TIMEOUT_S, 0) is None
    assert deadlines.request_overdue(limits.FRAME_TIMEOUT_S + 1, 0) is not None


def test_large_frame_has_more_time(deadlines: Deadlines) -> None:
    """A slow link may need a second for every 100 KiB."""
    deadlines.begin_frame(0, 0.0)
    frame_bytes = 10 * limits.FRAME_BYTES_PER_S
    assert deadlines.request_overdue(limits.FRAME_TIMEOUT_S + 9, frame_bytes) is None
    assert deadlines.request_overdue(limits.FRAME_TIMEOUT_S + 11, frame_bytes)


def test_next_frame_is_new_and_an_ended_one_is_never_overdue(
    deadlines: Deadlines,
) -> None:
    """The clock runs for one frame, and not for one that is not being read."""
    assert deadlines.is_new_frame(0)
    deadlines.begin_frame(0, 0.0)
    assert not deadlines.is_new_frame(0)
    assert deadlines.is_new_frame(1)
    deadlines.end_frame()
    assert deadlines.is_new_frame(0)
    assert deadlines.request_overdue(LATE_S, 0) is None


def test_exchange_has_one_deadline_for_all_of_its_steps(deadlines: Deadlines) -> None:
    """A later step does not extend the time of the exchange; the end stops it."""
    deadlines.begin_sasl(0.0)
    deadlines.begin_sasl(limits.SASL_TIMEOUT_S)
    assert deadlines.request_overdue(limits.SASL_TIMEOUT_S, 0) is None
    assert deadlines.request_overdue(limits.SASL_TIMEOUT_S + 1, 0) is not None
    deadlines.end_sasl()
    assert deadlines.request_overdue(LATE_S, 0) is None


def test_replies_are_overdue_unless_the_peer_takes_some(deadlines: Deadlines) -> None:
    """Only fewer undelivered bytes restart the clock."""
    deadlines.note_sent(0.0, 100)
    deadlines.look_for_progress(30.0, 100)
    assert deadlines.replies_overdue(limits.SEND_TIMEOUT_S) is None
    assert deadlines.replies_overdue(limits.SEND_TIMEOUT_S + 1) is not None
    deadlines.look_for_progress(30.0, 99)
    assert deadlines.replies_overdue(limits.SEND_TIMEOUT_S + 30) is None


def test_lingering_ends_by_itself(deadlines: Deadlines) -> None:
    """An ended connection discards bytes for two seconds."""
    deadlines.begin_linger(0.0)
    assert deadlines.linger_overdue(limits.LINGER_S) is None
    assert deadlines.linger_overdue(limits.LINGER_S + 1) is not None


def test_time_in_which_the_process_did_not_run_does_not_count(
    deadlines: Deadlines,
) -> None:
    """Every clock that runs is postponed, and no other one is started."""
    deadlines.postpone(LATE_S)
    assert deadlines.request_overdue(2 * LATE_S, 0) is None
    deadlines.begin_sasl(0.0)
    deadlines.begin_frame(0, 0.0)
    deadlines.begin_linger(0.0)
    deadlines.note_sent(0.0, 1)
    deadlines.postpone(LATE_S)
    assert deadlines.request_overdue(LATE_S, 0) is None
    assert deadlines.linger_overdue(LATE_S) is None
    assert deadlines.replies_overdue(LATE_S) is None


def test_upgrade_carries_over_when_a_frame_began(deadlines: Deadlines) -> None:
    """A new process continues the clock; 0 stands for no frame."""
    assert deadlines.times() == (0.0, 0.0)
    deadlines.restore_frame(7.0)
    deadlines.note_sent(8.0, 1)
    assert deadlines.times() == (7.0, 8.0)
    deadlines.restore_frame(0.0)
    assert deadlines.request_overdue(LATE_S, 0) is None
