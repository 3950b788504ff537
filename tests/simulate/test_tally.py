"""The counts of a run."""

from __future__ import annotations

from pacemaker.simulate.tally import Latencies, Tally


def test_answer_is_late_over_a_second() -> None:
    """A second is in time, more is late."""
    latencies = Latencies()
    latencies.record(1.0)
    assert latencies.late == 0
    latencies.record(1.001)
    assert latencies.late == 1


def test_folding_begins_a_recent_time() -> None:
    """What was recent counts on in all, and no longer as recent."""
    latencies = Latencies()
    latencies.record(2.0)
    latencies.fold()
    latencies.record(1.0)
    assert (latencies.recent.count, latencies.recent.max_s) == (1, 1.0)
    assert (latencies.count, latencies.all.count, latencies.all.max_s) == (2, 2, 2.0)
    assert latencies.late == 1


def test_unanswered_is_what_was_due_and_not_answered() -> None:
    """Each answer takes one from those that wait."""
    tally = Tally()
    tally.scheduled = 3
    tally.pulses.record(0.1)
    tally.fold()
    assert tally.unanswered == 2


def test_pulse_written_late_is_behind() -> None:
    """More than a tenth of a second is the generator's fault."""
    tally = Tally()
    tally.on_written(0.1)
    tally.on_written(0.11)
    assert (tally.behind, tally.lag.count) == (1, 2)


def test_errors_are_losses_and_wrong_answers() -> None:
    """Both are counted."""
    tally = Tally()
    tally.losses["reset"] += 2
    tally.wrong["missing"] += 1
    assert tally.errors == 3
