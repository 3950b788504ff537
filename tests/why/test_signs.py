"""What is found without a gap."""

from __future__ import annotations

import pytest

from pacemaker.why.case import Case, Verdict
from pacemaker.why.facts import Span
from tests.why.cases import (
    AT_S,
    NOW_S,
    WORKER,
    case,
    daemon,
    first,
    key,
    nodes,
    said,
    writer,
)


def test_daemon_that_was_started_again() -> None:
    """It remembers nothing before, and the worker is older."""
    facts = key(first_s=AT_S + 2, uptime_s=8_000)
    judged = Case([daemon({WORKER: facts}, began_s=AT_S)], nodes())
    finding = first(judged)
    assert finding.verdict is Verdict.EVERYTHING
    assert "started again" in said(finding)


@pytest.mark.parametrize(
    ("uptime_s", "limit"), [(20, "after 120 s"), (500, "more than")]
)
def test_loading_worker_beats_without_executors(uptime_s: int, limit: str) -> None:
    """Nimbus takes it for dead once it has loaded for too long."""
    facts = key(first_s=NOW_S - uptime_s, executors=0, uptime_s=uptime_s)
    finding = first(case(facts, nodes()))
    assert (finding.verdict, finding.end_s) == (Verdict.LOADING, None)
    assert limit in said(finding)


def test_two_writers_of_one_key() -> None:
    """Each writes over a connection of its own, and neither ends."""
    events = [
        writer(AT_S + 3 * n, 1.5, None, "open", f"10.0.0.{1 + n % 2}:40")
        for n in range(8)
    ]
    finding = first(case(key(*events), nodes()))
    assert finding.verdict is Verdict.TWO_WRITERS
    assert "10.0.0.1:40 and 10.0.0.2:40" in said(finding)


def test_one_new_connection_is_no_second_writer() -> None:
    """It connects before the Pacemaker has seen the end of the old one."""
    finding = first(case(key(writer(AT_S, 2.0, 3_000, "open")), nodes()))
    assert finding.verdict is Verdict.WELL


def test_nimbus_that_does_not_read() -> None:
    """The worker is well, and nobody looks."""
    judged = Case([daemon({WORKER: key()}, read_s=NOW_S - 60)], nodes())
    finding = first(judged)
    assert (finding.verdict, finding.end_s) == (Verdict.NOT_READ, None)


def test_nimbus_that_did_not_read() -> None:
    """It was away for a while."""
    gap = Span(AT_S, AT_S + 60)
    judged = Case([daemon({WORKER: key()}, read_gaps=[gap])], nodes())
    finding = first(judged)
    assert (finding.verdict, finding.end_s) == (Verdict.NOT_READ, AT_S + 60)


def test_supervisor_that_is_gone() -> None:
    """The worker goes on without it."""
    finding = first(case(key(), nodes(supervisors=("node-b",))))
    assert finding.verdict is Verdict.SUPERVISOR_GONE
