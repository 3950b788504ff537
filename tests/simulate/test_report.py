"""The report: its verdict and its words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pacemaker.simulate.report import Report, RunVerdict, ServerUse, make_report
from pacemaker.simulate.shape import ClusterShape
from pacemaker.simulate.tally import Tally

SHAPE = ClusterShape(
    supervisors=270, workers=10, executors=10, topologies=10, interval_s=3.0
)


def tally(answered: int = 1000, latency_s: float = 0.002) -> Tally:
    """Return the tally of a run in which all went well."""
    made = Tally()
    made.scheduled = 1000
    for _ in range(answered):
        made.pulses.record(latency_s)
        made.on_written(0.001)
    made.reads.record(0.001)
    made.rounds.record(0.5)
    made.sent_bytes, made.rcvd_bytes = 50_000_000, 5_000_000
    return made


def report(of: Tally, **changes: Any) -> Report:
    """Return the report of a tally."""
    arguments: dict[str, Any] = {
        "value_bytes": 5300,
        "duration_s": 10.0,
        "is_interrupted": False,
        "lost_reads": 0,
        "unfinished_round_s": 0.0,
        "generator_cpu_s": 1.0,
        "server_use": None,
    }
    return make_report("pm1:6699", SHAPE, of, **{**arguments, **changes})


def test_all_well_is_a_yes() -> None:
    """Every pulse answered, none late."""
    made = report(tally())
    assert made.verdict is RunVerdict.CARRIES
    assert list(made.lines())[-1] == f"Yes: pm1:6699 carries a cluster of {SHAPE}."


@pytest.mark.parametrize(
    ("of", "changes", "problem"),
    [
        (tally(answered=998), {}, "2 never answered"),
        (tally(), {"lost_reads": 1}, "1 never answered"),
        (tally(latency_s=1.5), {}, "1,000 answered after more than 1 s"),
        (tally(), {"unfinished_round_s": 40.0}, "a round of Nimbus took 40 s"),
    ],
)
def test_any_problem_is_a_no(of: Tally, changes: dict[str, Any], problem: str) -> None:
    """What is lost, late or too slow for Nimbus is named in the last line."""
    made = report(of, **changes)
    assert made.verdict is RunVerdict.DOES_NOT
    last = list(made.lines())[-1]
    assert last.startswith("No: pm1:6699 does not carry a cluster of 270")
    assert problem in last


def test_late_read_and_wrong_answer_are_a_no() -> None:
    """Nimbus counts like the workers."""
    of = tally()
    of.reads.record(1.1)
    of.wrong["missing heartbeats"] = 3
    assert list(report(of).problems()) == [
        "1 answered after more than 1 s",
        "missing heartbeats: 3",
    ]


def test_lost_connections_alone_are_told_and_no_problem() -> None:
    """A reset after which all was answered in time costs the cluster nothing."""
    of = tally()
    of.losses["Connection reset by peer"] = 2
    made = report(of)
    assert made.verdict is RunVerdict.CARRIES
    assert "lost       2 connections: Connection reset by peer" in made.lines()


@pytest.mark.parametrize("lags_s", [[0.6], [0.15] * 20])
def test_generator_that_fell_behind_has_no_answer(lags_s: list[float]) -> None:
    """One pulse far behind or many a little: nothing is said of the server."""
    of = tally(answered=900)
    for lag_s in lags_s:
        of.on_written(lag_s)
    made = report(of)
    assert made.verdict is RunVerdict.UNKNOWN
    assert "The generator is saturated: no verdict." in list(made.lines())[-1]


def test_hiccup_of_the_generator_is_none() -> None:
    """A few pulses a little behind do not spoil a run."""
    of = tally()
    of.on_written(0.15)
    assert report(of).verdict is RunVerdict.CARRIES


def test_interrupted_run_is_no_yes() -> None:
    """It says how far it came; what went wrong until then is a no all the same."""
    made = report(tally(), is_interrupted=True)
    assert made.verdict is RunVerdict.INTERRUPTED
    assert list(made.lines())[-1].startswith("Interrupted; so far pm1:6699 carried")
    lost = report(tally(answered=1), is_interrupted=True)
    assert lost.verdict is RunVerdict.DOES_NOT


def test_words_have_the_figures() -> None:
    """Rates, latencies, bytes both ways, Nimbus, the server's process."""
    text = "\n".join(report(tally(), server_use=ServerUse(7, 0.123, 2**26)).lines())
    for words in (
        "2,700 workers",
        "1,000 of 5.3 kB in 10 s, 100/s: 1,000 answered, 0 of them late",
        "p50 2.0, p99 2.0, p99.9 2.0, largest 2.0 ms",
        "1 round, median 0.50 s, longest 0.50 s",
        "5.0 MB/s to the server, 500.0 kB/s from it",
        "12.3% of one core, 64 MiB (process 7)",
        "generator  10.0% of one core",
    ):
        assert words in text


def test_round_longer_than_its_turn_is_told() -> None:
    """More than 10 s is a line of its own, and no problem yet."""
    made = report(tally(), unfinished_round_s=12.0)
    assert made.verdict is RunVerdict.CARRIES
    assert "           Nimbus starts a round every 10 s" in made.lines()


def test_json_has_everything() -> None:
    """It can be written, and says the verdict first."""
    made = json.loads(json.dumps(report(tally()).as_json()))
    assert (made["verdict"], made["workers"], made["lost"]) == ("carries", 2700, 0)
    assert made["pulses"]["answered"] == 1000
    assert made["server_use"] is None
