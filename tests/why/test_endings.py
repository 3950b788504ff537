"""What ended a worker, or kept it silent."""

from __future__ import annotations

import pytest

from pacemaker.observe.zookeeper.storm_nodes import LastError, Status
from pacemaker.why.evidence import Evidence, WorkerVerdict
from pacemaker.why.facts import KeyFacts
from pacemaker.why.verdicts import findings_of
from tests.why.cases import (
    AT_S,
    NOW_S,
    TOPOLOGY,
    WORKER,
    behind_relay,
    daemon,
    deleted,
    evidence,
    first,
    key,
    late,
    moved,
    nodes,
    said,
    writer,
)


def test_worker_that_threw_ended_itself() -> None:
    """It deleted its key, and ZooKeeper has its error, of that host and port."""
    error = LastError("java.lang.Error: boom\n\tat x", int(AT_S) - 12, "host-a", 6700)
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    judged = evidence(facts, nodes(errors={(TOPOLOGY, "count"): error}))
    finding = first(judged)
    assert finding.verdict is WorkerVerdict.ENDED_ITSELF
    assert "java.lang.Error: boom (count)" in said(finding)
    assert (finding.begin_s, finding.end_s) == (AT_S - 12, AT_S)


@pytest.mark.parametrize(
    "facts",
    [
        key(writer(AT_S, 12.0, 1, "fin")),
        key(last_s=AT_S - 12, end="fin", ended_s=AT_S - 8, uptime_s=40),
    ],
    ids=["over", "still away"],
)
def test_worker_that_was_halted_as_it_threw(facts: KeyFacts) -> None:
    """Storm gives it 3 s, in which it may not get as far as the delete."""
    error = LastError("java.lang.Error: boom\n\tat x", int(AT_S) - 13, "host-a", 6700)
    finding = first(evidence(facts, nodes(errors={(TOPOLOGY, "count"): error})))
    assert finding.verdict is WorkerVerdict.ENDED_ITSELF
    assert "java.lang.Error: boom (count); so it was halted" in said(finding)


def test_worker_with_an_error_of_another_time_was_killed() -> None:
    """An error that it reported long before has not ended it."""
    error = LastError("java.lang.Error: boom", int(AT_S) - 60, "host-a", 6700)
    facts = key(writer(AT_S, 12.0, 1, "reset"))
    judged = evidence(facts, nodes(errors={(TOPOLOGY, "count"): error}))
    assert first(judged).verdict is WorkerVerdict.KILLED


@pytest.mark.parametrize(
    "error",
    [
        LastError("old", int(AT_S) - 500, "host-a", 6700),
        LastError("another port", int(AT_S) - 12, "host-a", 6701),
        LastError("another host", int(AT_S) - 12, "host-b", 6700),
    ],
)
def test_error_of_something_else_proves_nothing(error: LastError) -> None:
    """It must be of that worker, and of that time."""
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    finding = first(evidence(facts, nodes(errors={(TOPOLOGY, "count"): error})))
    assert finding.verdict is WorkerVerdict.ENDED_ITSELF
    assert "no error was reported" in said(finding)


def test_worker_of_a_rebalance_was_stopped() -> None:
    """It deleted its key, and its slot was assigned anew at that time."""
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    finding = first(evidence(facts, nodes(assigned_s=int(AT_S) - 15)))
    assert finding.verdict is WorkerVerdict.STOPPED


def test_worker_that_was_moved_was_stopped() -> None:
    """It deleted its key, and its slot is free."""
    facts = key(
        deleted(AT_S), last_s=AT_S - 1, end="fin", ended_s=AT_S, is_stored=False
    )
    finding = first(evidence(facts, nodes(assigned_s=None)))
    assert (finding.verdict, finding.end_s) == (WorkerVerdict.STOPPED, None)


def test_without_zookeeper_an_orderly_end_is_unclear() -> None:
    """It says what could not be told apart."""
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    finding = first(evidence(facts))
    assert finding.verdict is WorkerVerdict.UNCLEAR
    assert "ZooKeeper" in said(finding)


@pytest.mark.parametrize("by", ["delete", "zookeeper", "status"])
def test_killed_topology_is_seen(by: str) -> None:
    """By Nimbus' delete of all its keys, or by what ZooKeeper has left."""
    facts = key(last_s=AT_S, end="fin", ended_s=AT_S, is_stored=False)
    deletes = [(AT_S + 1, f"/workerbeats/{TOPOLOGY}", "10.0.0.9:5")]
    left = {"delete": None, "zookeeper": nodes(status=None)}
    said_by = left.get(by, nodes(status=Status.KILLED))
    judged = Evidence(
        [daemon({WORKER: facts}, deletes=deletes if by == "delete" else ())], said_by
    )
    assert first(judged).verdict is WorkerVerdict.TOPOLOGY_KILLED


def test_killed_worker_has_a_short_uptime() -> None:
    """Its connection ended, it deleted nothing, and a new process took its place."""
    facts = key(writer(AT_S, 8.0, 1, "reset"))
    finding = first(evidence(facts, nodes()))
    assert finding.verdict is WorkerVerdict.KILLED
    assert "was reset" in said(finding)
    assert "new process, 1 s old" in said(finding)


def test_killed_worker_that_is_still_away() -> None:
    """Its connection has ended, and it has not come back."""
    facts = key(last_s=NOW_S - 40, end="fin", ended_s=NOW_S - 39)
    finding = first(evidence(facts, nodes()))
    assert (finding.verdict, finding.end_s) == (WorkerVerdict.KILLED, None)


@pytest.mark.parametrize("uptime_s", [3_000, None])
def test_paused_worker_goes_on_over_its_connection(uptime_s: int | None) -> None:
    """A collection, swapping, SIGSTOP."""
    finding = first(evidence(key(late(AT_S, 20.0, uptime_s)), nodes()))
    assert finding.verdict is WorkerVerdict.PAUSED
    assert finding.end_s == AT_S


@pytest.mark.parametrize(
    "facts",
    [
        key(late(AT_S, 30.0, 8)),
        key(late(AT_S, 30.0, 8), last_s=AT_S, uptime_s=8),
        key(late(AT_S, 30.0, 8), writer(AT_S + 900, 2.0, 1), uptime_s=4_100),
    ],
    ids=["process goes on", "nothing came after it", "process was killed later"],
)
def test_heartbeat_that_was_delayed_in_the_network(facts: KeyFacts) -> None:
    """The cable of a young worker was pulled: its uptime is shorter than the gap."""
    found = findings_of(evidence(facts, nodes()), WORKER)
    finding = next(each for each in found if each.end_s == AT_S)
    assert finding.verdict is WorkerVerdict.NETWORK
    assert "delayed in the network" in said(finding)


def test_worker_that_paused_as_it_began_to_load() -> None:
    """Its uptime is about as long as the silence, and it is the same process."""
    finding = first(evidence(key(late(AT_S, 30.0, 29)), nodes()))
    assert finding.verdict is WorkerVerdict.PAUSED


def test_worker_that_is_still_paused() -> None:
    """Its connection is open, and it says nothing."""
    finding = first(evidence(key(last_s=NOW_S - 25), nodes()))
    assert (finding.verdict, finding.begin_s) == (WorkerVerdict.PAUSED, NOW_S - 25)


def test_worker_that_came_back_was_cut_off() -> None:
    """Another connection, and the same process."""
    finding = first(evidence(key(writer(AT_S, 14.0, 3_000)), nodes()))
    assert finding.verdict is WorkerVerdict.NETWORK
    assert "uptime was 3000 s" in said(finding)


def test_new_connection_with_an_unknown_uptime_is_unclear() -> None:
    """It may have been killed, or cut off."""
    finding = first(evidence(key(writer(AT_S, 14.0, None)), nodes()))
    assert finding.verdict is WorkerVerdict.UNCLEAR


def test_relay_hides_how_a_connection_went_on() -> None:
    """Two workers over one connection: a pause and a lost network look the same."""
    facts = key(late(AT_S, 20.0, 3_000))
    finding = first(evidence(facts, nodes(), node_b_6700=key()))
    assert finding.verdict is WorkerVerdict.UNCLEAR
    assert "relay" in said(finding)


def test_lone_worker_of_a_relay_is_not_taken_for_its_connection() -> None:
    """The configuration says that there are relays."""
    judged = Evidence(
        [daemon({WORKER: key(late(AT_S, 20.0, 3_000))})], nodes(), has_relays=True
    )
    assert first(judged).verdict is WorkerVerdict.UNCLEAR


def test_relay_of_the_worker_tells_what_it_hides() -> None:
    """The connection of the worker ends there."""
    there = key(late(AT_S, 20.0, 3_000), peer="10.0.0.1:7")
    finding = first(behind_relay(key(late(AT_S, 20.0, 3_000)), there))
    assert finding.verdict is WorkerVerdict.PAUSED


def test_relay_does_not_hide_a_new_process() -> None:
    """Its uptime is in its heartbeats."""
    facts = key(late(AT_S, 20.0, 2), uptime_s=5_001)
    finding = first(evidence(facts, nodes(), node_b_6700=key()))
    assert finding.verdict is WorkerVerdict.KILLED


def test_crash_long_before_the_topology_was_killed_is_told() -> None:
    """The kill is what happened afterwards, not the cause."""
    facts = key(last_s=AT_S, end="reset", ended_s=AT_S, is_stored=False)
    deletes = [(AT_S + 3_000, f"/workerbeats/{TOPOLOGY}", "10.0.0.9:5")]
    finding = first(
        Evidence([daemon({WORKER: facts}, deletes=deletes)], nodes(status=None))
    )
    assert finding.verdict is WorkerVerdict.KILLED
    assert finding.reasons[-1] == "its topology was killed 3000 s after that"


def test_kill_of_a_topology_with_the_same_prefix_is_another() -> None:
    """The directory that was deleted must be that of its own topology."""
    facts = key(last_s=AT_S, end="reset", ended_s=AT_S)
    deletes = [(AT_S + 1, f"/workerbeats/{TOPOLOGY}0", "10.0.0.9:5")]
    finding = first(Evidence([daemon({WORKER: facts}, deletes=deletes)], nodes()))
    assert finding.verdict is WorkerVerdict.KILLED


@pytest.mark.parametrize("assigned_s", [int(AT_S) + 4_000, None])
def test_later_assignment_hides_why_a_worker_ended(assigned_s: int | None) -> None:
    """ZooKeeper has only the newest, so the older end is unclear."""
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    finding = first(evidence(facts, nodes(assigned_s=assigned_s)))
    assert finding.verdict is WorkerVerdict.UNCLEAR
    assert "only the newest assignment" in said(finding)


def test_uptime_of_a_clock_that_was_set_back_proves_nothing() -> None:
    """An uptime below 0 is shorter than any gap, but not that of a new process."""
    finding = first(evidence(key(writer(AT_S, 14.0, -3_000)), nodes()))
    assert finding.verdict is WorkerVerdict.UNCLEAR
    assert "the clock of its host was set back" in said(finding)


def test_paused_worker_that_lost_its_slot_is_still_paused() -> None:
    """Its connection is open, so nobody stopped it: Nimbus moved it afterwards."""
    finding = first(evidence(key(last_s=NOW_S - 400), moved(at_s=NOW_S - 360)))
    assert finding.verdict is WorkerVerdict.PAUSED
    assert finding.reasons[-1].endswith("40 s after its last heartbeat")


@pytest.mark.parametrize(
    ("moved_s", "verdict"),
    [
        (-10, WorkerVerdict.STOPPED),
        (40, WorkerVerdict.KILLED),
        (-500, WorkerVerdict.KILLED),
    ],
)
def test_worker_that_is_killed_after_a_move_was_stopped(
    moved_s: int, verdict: WorkerVerdict
) -> None:
    """A supervisor kills what does not stop in time; a later move is not the cause."""
    silent_s = NOW_S - 600
    facts = key(last_s=silent_s, end="reset", ended_s=silent_s)
    finding = first(evidence(facts, moved(at_s=silent_s + moved_s)))
    assert finding.verdict is verdict


def test_slot_of_a_topology_without_any_is_free_too() -> None:
    """When Nimbus took it away is unknown then."""
    facts = key(last_s=NOW_S - 600, end="reset", ended_s=NOW_S - 600)
    finding = first(evidence(facts, nodes(assigned_s=None)))
    assert finding.reasons[-1] == "Nimbus has taken its slot away"


def test_new_process_over_the_same_connection_comes_through_a_relay() -> None:
    """A connection does not outlive its process, and later heartbeats are as young."""
    finding = first(evidence(key(late(AT_S, 20.0, 2), uptime_s=5_001), nodes()))
    assert finding.verdict is WorkerVerdict.KILLED
    assert "a relay or a proxy is in between" in said(finding)


def test_pause_and_kill_are_two_findings() -> None:
    """Each with its own evidence."""
    facts = key(late(AT_S, 20.0, 3_000), writer(AT_S + 30, 14.0, 2))
    found = findings_of(evidence(facts, nodes()), WORKER)
    assert [each.verdict for each in found] == [
        WorkerVerdict.KILLED,
        WorkerVerdict.PAUSED,
    ]
