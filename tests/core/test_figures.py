"""Tests of pacemaker.core.figures."""

from __future__ import annotations

from pacemaker.core.figures import Figures, add_up, describe_minute


def test_figures_count_pulses_and_reads() -> None:
    """A thread's figures know numbers, sizes and the largest heartbeat."""
    figures = Figures()
    for size in (10, 30, 20):
        figures.count_pulse(size)
    figures.count_read(5)
    figures.count_read(0)
    assert figures == Figures(
        pulses=3, pulse_bytes=60, largest_pulse_bytes=30, reads=2, read_bytes=5
    )


def test_figures_of_threads_add_up() -> None:
    """All add up but the largest heartbeat, which is that of all threads."""
    total = add_up(
        [Figures(1, 2, 7, 4, 5, 6, 7, 8), Figures(10, 20, 3, 40, 50, 60, 70, 80)]
    )
    assert total == Figures(11, 22, 7, 44, 55, 66, 77, 88)


def test_figures_of_no_thread_are_nothing() -> None:
    """Before the first thread there is nothing to report."""
    assert add_up([]) == Figures()


def test_minute_is_described_by_differences() -> None:
    """The line of a minute has what happened in it, and what is there at its end."""
    before = Figures(100, 5_000, 90, 10, 1_000, 3, refused_reads=5, evictions=2)
    now = Figures(103, 5_100, 60, 12, 1_100, 4, refused_reads=7, evictions=3, delays=1)
    now.addresses, now.most_connections = 3, 2
    assert describe_minute(before, now, 7) == (
        "last minute: pulses=3 pulse_bytes=100 reads=2 read_bytes=100"
        " largest_heartbeat_bytes=60 average_heartbeat_bytes=33 keys=7 connections=4"
        " addresses=3 most_connections_of_an_address=2 refused_reads=2"
        " anonymous_deletes=0 refused_connections=0 refused_heartbeats=0"
        " refused_holds=0 evictions=1 delays=1 failed_logins=0 delayed_logins=0"
    )


def test_minute_without_pulses_has_an_average() -> None:
    """A minute in which nothing came is described too."""
    assert "average_heartbeat_bytes=0" in describe_minute(Figures(), Figures(), 0)
