"""Tests of pacemaker.client.liveness."""

from __future__ import annotations

import logging

import pytest

from pacemaker.client.liveness import Liveness
from pacemaker.testing import MemoryClock

AGES_S = 1e9
"""So long that any reply came in its second half."""


def test_server_is_believed_in_at_first() -> None:
    """Who has not been asked yet is no worse than others."""
    assert Liveness("pm1:6699", MemoryClock()).is_available


def test_missed_deadline_in_silence_is_held_against_a_server() -> None:
    """It counts as dead from then on, and as alive from its next reply on."""
    liveness = Liveness("pm1:6699", MemoryClock())
    liveness.on_missed(1.0)
    assert not liveness.is_available
    liveness.on_reply()
    assert liveness.is_available


def test_missed_deadline_among_replies_is_not() -> None:
    """A server that answers others holds a read, or is busy with it."""
    liveness = Liveness("pm1:6699", MemoryClock())
    liveness.on_reply()
    liveness.on_missed(AGES_S)
    assert liveness.is_available


@pytest.mark.parametrize(
    ("silence_s", "is_available"), [(1.75, True), (2.0, False), (2.25, False)]
)
def test_reply_counts_in_the_second_half_of_the_time_alone(
    silence_s: float, is_available: bool
) -> None:
    """One in the first half may have been sent before the server hung."""
    clock = MemoryClock()
    liveness = Liveness("pm1:6699", clock)
    liveness.on_reply()
    clock.advance(silence_s)
    liveness.on_missed(4.0)
    assert liveness.is_available is is_available


def test_changes_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A server that stays away is one line of the log, unless its reason changes."""
    liveness = Liveness("pm1:6699", MemoryClock())
    with caplog.at_level(logging.INFO):
        for reason in ("closed by the server", *["Connection refused"] * 3):
            liveness.on_loss(reason)
        liveness.on_missed(1.0)
        liveness.on_reply()
        liveness.on_reply()
        liveness.on_loss("Connection refused")
    assert [record.getMessage() for record in caplog.records] == [
        "pm1:6699: no connection: closed by the server",
        "pm1:6699: no connection: Connection refused",
        "pm1:6699: answers again",
        "pm1:6699: no connection: Connection refused",
    ]
