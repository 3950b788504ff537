"""Tests of core.figures."""

from __future__ import annotations

import pytest

from pacemaker.core.figures import Figures, add_up, describe_minute
from pacemaker.wire import messages


def test_figures_count_pulses_and_reads() -> None:
    """A thread's figures have counts, sizes and the largest heartbeat."""
    figures = Figures()
    for size in (10, 30, 20):
        figures.count_pulse(size)
    figures.count_read(b"12345")
    figures.count_read(b"")
    figures.count_read(None)
    assert (figures.pulses, figures.pulse_bytes) == (3, 60)
    assert (figures.largest_pulse_bytes, figures.read_bytes) == (30, 5)
    assert figures.misses == 1


def test_sizes_are_counted_by_their_bits() -> None:
    """Each size is counted at its bit length."""
    figures = Figures()
    for size in (0, 1, 2, 3, 4, 1023, 1024, 2**31 - 1):
        figures.count_pulse(size)
    shown = {
        bits: count for bits, count in enumerate(figures.pulse_size_histogram) if count
    }
    assert shown == {0: 1, 1: 1, 2: 2, 3: 1, 10: 1, 11: 1, 31: 1}


def test_pulses_that_come_together_count_with_their_average() -> None:
    """They come from one worker, so their sizes differ little."""
    figures = Figures()
    figures.count_pulses(3, 300, 120)
    assert figures.pulse_size_histogram[(100).bit_length()] == 3
    assert (figures.pulses, figures.largest_pulse_bytes) == (3, 120)


@pytest.mark.parametrize(
    ("duration_s", "bits"),
    [(0.0, 0), (1e-6, 1), (3.5e-6, 2), (0.001, 10), (1.0, 20), (1e6, 31)],
)
def test_turns_are_counted_by_their_events(duration_s: float, bits: int) -> None:
    """Each event counts with its turn's duration; the last bucket has no upper end."""
    figures = Figures()
    figures.count_turn(duration_s, 3)
    figures.count_turn(duration_s, 2)
    shown = {
        bits: count for bits, count in enumerate(figures.turn_time_histogram) if count
    }
    assert shown == {bits: 5}
    assert figures.turn_time_sum_s == pytest.approx(5 * duration_s)


def test_figures_of_threads_add_up() -> None:
    """All figures are summed, except the largest heartbeat, which is a maximum."""
    parts = []
    for number in (1, 10):
        part = Figures(largest_pulse_bytes=70 // number)
        for name in ("pulse_bytes", "misses", "read_bytes", "connections", "delays"):
            setattr(part, name, number)
        for name in ("accepted", "ended", "ended_refused", "ended_by_stop"):
            setattr(part, name, 2 * number)
        part.ended_by_fault = part.anonymous_deletes = 3 * number
        part.closed_for_room = part.refused_steps = 5 * number
        part.pulse_size_histogram[4] = part.requests[10] = part.unauthorized[2] = (
            4 * number
        )
        parts.append(part)
    total = add_up(parts)
    assert total.largest_pulse_bytes == 70
    assert (total.pulse_bytes, total.misses, total.read_bytes) == (11, 11, 11)
    assert (total.connections, total.delays) == (11, 11)
    assert (total.accepted, total.ended, total.ended_refused) == (22, 22, 22)
    assert (total.ended_by_stop, total.ended_by_fault) == (22, 33)
    assert total.anonymous_deletes == 33
    assert (total.closed_for_room, total.refused_steps) == (55, 55)
    assert (total.pulses, total.reads, total.refused_reads) == (44, 44, 44)


def test_figures_of_no_thread_are_nothing() -> None:
    """Without threads, all figures are 0."""
    assert add_up([]) == Figures()


def test_minute_is_described_by_differences() -> None:
    """The line has what happened in the minute, and the totals at its end."""
    before = Figures(pulse_bytes=5_000, read_bytes=1_000, evictions=2)
    before.pulse_size_histogram[6] = 100
    before.requests[messages.GET_PULSE] = 10
    before.unauthorized[messages.EXISTS] = 5
    now = Figures(pulse_bytes=5_100, largest_pulse_bytes=60, read_bytes=1_100)
    now.pulse_size_histogram[6], now.pulse_size_histogram[5] = 101, 2
    now.requests[messages.GET_PULSE] = 12
    now.unauthorized[messages.EXISTS] = 7
    now.connections, now.evictions, now.delays = 4, 3, 1
    now.addresses, now.busiest_account_connections = 3, 2
    assert describe_minute(before, now, 7) == (
        "last minute: pulses=3 pulse_bytes=100 reads=2 read_bytes=100"
        " largest_heartbeat_bytes=60 average_heartbeat_bytes=33 keys=7 connections=4"
        " addresses=3 most_connections_of_an_address=2 refused_reads=2"
        " anonymous_deletes=0 refused_connections=0 closed_for_room=0"
        " refused_heartbeats=0 refused_holds=0 refused_steps=0 evictions=1 delays=1"
        " failed_logins=0 delayed_logins=0"
    )


def test_minute_without_pulses_has_an_average() -> None:
    """A minute without pulses is described too, with an average of 0."""
    assert "average_heartbeat_bytes=0" in describe_minute(Figures(), Figures(), 0)
