"""Findings without a gap."""

from __future__ import annotations

import pytest

from pacemaker.why.evidence import Evidence, WorkerVerdict
from pacemaker.why.facts import Span
from pacemaker.why.verdicts import findings_of
from tests.why.cases import (
    AT_S,
    NOW_S,
    WORKER,
    behind_relay,
    daemon,
    evidence,
    first,
    key,
    late,
    nodes,
    said,
    writer,
)


def test_daemon_that_was_started_again() -> None:
    """It remembers nothing before, and the worker is older."""
    facts = key(first_s=AT_S + 2, uptime_s=8_000)
    judged = Evidence([daemon({WORKER: facts}, began_s=AT_S)], nodes())
    finding = first(judged)
    assert finding.verdict is WorkerVerdict.EVERYTHING
    assert "started again" in said(finding)


def test_pacemaker_that_was_started_again_behind_relays() -> None:
    """The worker wrote to its relay meanwhile."""
    finding = first(behind_relay(key(), key(first_s=AT_S + 2), began_s=AT_S))
    assert finding.verdict is WorkerVerdict.EVERYTHING
    assert "pm1 was started again" in said(finding)


@pytest.mark.parametrize(
    ("uptime_s", "limit"),
    [(20, "waits 120 s"), (500, "gave it up after 120 s"), (-5, "after 0 s")],
)
def test_loading_worker_beats_without_executors(uptime_s: int, limit: str) -> None:
    """Nimbus waits for its executors; an uptime below 0 comes from a clock set back."""
    facts = key(first_s=NOW_S - uptime_s, executors=0, uptime_s=uptime_s)
    finding = first(evidence(facts, nodes()))
    assert (finding.verdict, finding.end_s) == (WorkerVerdict.LOADING, None)
    assert limit in said(finding)


def test_two_writers_of_one_key() -> None:
    """Each writes over a connection of its own, and neither ends."""
    events = [
        writer(AT_S + 3 * n, 1.5, None, "open", f"10.0.0.{1 + n % 2}:40")
        for n in range(8)
    ]
    finding = first(evidence(key(*events), nodes()))
    assert finding.verdict is WorkerVerdict.TWO_WRITERS
    assert "10.0.0.1:40 and 10.0.0.2:40" in said(finding)


def test_two_writers_with_a_relay_each() -> None:
    """Only the Pacemaker sees both."""
    flaps = [
        writer(AT_S + 1.5 * n, 1.5, 100, "open", f"10.0.0.{1 + n % 2}:7")
        for n in range(6)
    ]
    found = findings_of(behind_relay(key(), key(*flaps)), WORKER)
    assert {each.verdict for each in found} == {WorkerVerdict.TWO_WRITERS}


def test_one_new_connection_is_no_second_writer() -> None:
    """It connects before the Pacemaker has seen the end of the old one."""
    finding = first(evidence(key(writer(AT_S, 2.0, 3_000, "open")), nodes()))
    assert finding.verdict is WorkerVerdict.WELL


def test_nimbus_that_does_not_read() -> None:
    """The worker is well, and nobody looks."""
    judged = Evidence([daemon({WORKER: key()}, read_s=NOW_S - 60)], nodes())
    finding = first(judged)
    assert (finding.verdict, finding.end_s) == (WorkerVerdict.NOT_READ, None)


def test_relay_of_a_worker_is_not_read() -> None:
    """Nimbus reads through the relay on its own host."""
    judged = Evidence([daemon({WORKER: key()}, read_s=None, is_relay=True)], nodes())
    assert first(judged).verdict is WorkerVerdict.WELL


def test_nimbus_that_did_not_read() -> None:
    """It was away for a while."""
    gap = Span(AT_S, AT_S + 60)
    judged = Evidence([daemon({WORKER: key()}, read_gaps=[gap])], nodes())
    finding = first(judged)
    assert (finding.verdict, finding.end_s) == (WorkerVerdict.NOT_READ, AT_S + 60)


def test_supervisor_that_is_gone() -> None:
    """The worker goes on without it."""
    finding = first(evidence(key(), nodes(supervisors=("node-b",))))
    assert finding.verdict is WorkerVerdict.SUPERVISOR_GONE


def test_restart_of_one_of_two_pacemakers() -> None:
    """What the other one remembers is about other workers."""
    restarted = daemon({WORKER: key(first_s=AT_S + 2)}, began_s=AT_S)
    finding = first(Evidence([restarted, daemon({}, name="pm2")], nodes()))
    assert finding.verdict is WorkerVerdict.EVERYTHING
    assert "pm1 was started again" in said(finding)


def test_reads_elsewhere_do_not_matter() -> None:
    """Nimbus must read where the worker writes; it may leave the other one alone."""
    here = daemon({WORKER: key()})
    elsewhere = daemon({}, name="pm2", read_s=None, read_gaps=[Span(AT_S, AT_S + 60)])
    assert first(Evidence([here, elsewhere], nodes())).verdict is WorkerVerdict.WELL
    unread = daemon({WORKER: key()}, read_s=NOW_S - 60)
    finding = first(Evidence([unread, daemon({}, name="pm2")], nodes()))
    assert finding.verdict is WorkerVerdict.NOT_READ


def test_killed_topology_need_not_be_read() -> None:
    """Nimbus has nothing to read once the last topology was killed."""
    facts = key(last_s=AT_S, end="fin", ended_s=AT_S, is_stored=False)
    judged = Evidence([daemon({WORKER: facts}, read_s=AT_S + 10)], nodes(status=None))
    assert first(judged).verdict is WorkerVerdict.TOPOLOGY_KILLED


def test_what_goes_on_comes_before_what_is_over() -> None:
    """A lost supervisor has no known beginning, and is still the newest."""
    facts = key(late(AT_S, 20.0, 3_000))
    finding = first(evidence(facts, nodes(supervisors=("node-b",))))
    assert (finding.verdict, finding.begin_s) == (WorkerVerdict.SUPERVISOR_GONE, None)
