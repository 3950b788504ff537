"""Tests of benchmarks.load, without the generator."""

from __future__ import annotations

from typing import Any

from benchmarks.load import Group, Heartbeats, read_report

LATENCIES = {"max_us": 9.0, "percentiles_us": {"50": 1.0, "99": 2.0}}


def group(work: str, **figures: Any) -> dict[str, Any]:
    """Return what the generator reports of one group."""
    report = {"work": work, "replies": 10, "lost": 0, "is_done": False}
    return {**report, **LATENCIES, **figures}


def report(*groups: dict[str, Any]) -> dict[str, Any]:
    """Return what the generator writes."""
    return {
        "seconds": 2.0,
        "server_cpu_s": 0.5,
        "written_bytes": 0,
        "generator_cpu_s": 1.0,
        "generator_late_us": 3.0,
        "content_bytes": 0,
        **LATENCIES,
        "groups": list(groups),
    }


def test_groups_are_told_as_the_generator_takes_them() -> None:
    """Work, connections, in flight, rate and limit."""
    assert Group("pulse", 100, 50).argument() == "pulse:100:50:0.0:0"
    assert Group("list", 1, 1, 0.5, 7).argument() == "list:1:1:0.5:7"


def test_heartbeats_are_told_as_options() -> None:
    """Deletes begin with the first topology unless another is named."""
    assert "--delete-from=-1" in Heartbeats(10, 100).arguments()
    assert "--delete-from=3" in Heartbeats(10, 100, delete_from=3).arguments()


def test_report_adds_up_its_groups() -> None:
    """Throughput and CPU time are those of all requests."""
    seen = read_report(report(group("pulse"), group("read", replies=30, lost=2)))
    assert (seen.replies, seen.lost, seen.is_done) == (40, 2, False)
    assert seen.rate_per_s == 20.0
    assert seen.cpu_us == 12_500.0
    assert list(seen.by_work) == ["pulse", "read"]


def test_report_is_done_with_its_limited_group() -> None:
    """A group without a limit goes on for as long as it is asked to."""
    assert read_report(report(group("fill", is_done=True))).is_done


def test_report_without_a_reply_has_no_endless_cost() -> None:
    """A server that answers nothing is not divided by."""
    assert read_report(report(group("pulse", replies=0))).cpu_us == 500_000.0
