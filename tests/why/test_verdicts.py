"""Each verdict, from what the Pacemakers and ZooKeeper would say."""

from __future__ import annotations

import pytest

from pacemaker.observe.nodes import LastError, Status
from pacemaker.why.facts import KeyFacts, Span
from pacemaker.why.verdicts import Case, Finding, Verdict, judge
from tests.why.cases import (
    BEGAN_S,
    NOW_S,
    TOPOLOGY,
    WORKER,
    case,
    daemon,
    deleted,
    key,
    late,
    nodes,
    writer,
)

AT_S = 5_000.0


def first(judged: Case) -> Finding:
    """Return the newest finding about the worker."""
    return judge(judged, WORKER)[0]


def said(finding: Finding) -> str:
    """Return what speaks for a finding."""
    return "; ".join(finding.reasons)


def test_nothing_unusual_is_well() -> None:
    """Heartbeats came as they should."""
    finding = first(case(key(), nodes()))
    assert (finding.verdict, finding.begin_s) == (Verdict.WELL, None)


def test_worker_of_which_nobody_knows() -> None:
    """It is said who was asked."""
    finding = judge(case(key()), (TOPOLOGY, "node-z-1"))[0]
    assert finding.verdict is Verdict.UNKNOWN
    assert "pm1" in said(finding)


# It ended.


def test_worker_that_threw_ended_itself() -> None:
    """It deleted its key, and ZooKeeper has its error, of that host and port."""
    error = LastError("java.lang.Error: boom\n\tat x", int(AT_S) - 12, "host-a", 6700)
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    judged = case(facts, nodes(errors={(TOPOLOGY, "count"): error}))
    finding = first(judged)
    assert finding.verdict is Verdict.ENDED_ITSELF
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
    finding = first(case(facts, nodes(errors={(TOPOLOGY, "count"): error})))
    assert finding.verdict is Verdict.ENDED_ITSELF
    assert "java.lang.Error: boom (count); so it was halted" in said(finding)


def test_worker_with_an_error_of_another_time_was_killed() -> None:
    """What it reported long before has not ended it."""
    error = LastError("java.lang.Error: boom", int(AT_S) - 60, "host-a", 6700)
    facts = key(writer(AT_S, 12.0, 1, "reset"))
    judged = case(facts, nodes(errors={(TOPOLOGY, "count"): error}))
    assert first(judged).verdict is Verdict.KILLED


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
    finding = first(case(facts, nodes(errors={(TOPOLOGY, "count"): error})))
    assert finding.verdict is Verdict.ENDED_ITSELF
    assert "no error was reported" in said(finding)


def test_worker_of_a_rebalance_was_stopped() -> None:
    """It deleted its key, and its slot was assigned anew at that time."""
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    finding = first(case(facts, nodes(assigned_s=int(AT_S) - 15)))
    assert finding.verdict is Verdict.STOPPED


def test_worker_that_was_moved_was_stopped() -> None:
    """It deleted its key, and its slot is free."""
    facts = key(
        deleted(AT_S), last_s=AT_S - 1, end="fin", ended_s=AT_S, is_stored=False
    )
    finding = first(case(facts, nodes(assigned_s=None)))
    assert (finding.verdict, finding.end_s) == (Verdict.STOPPED, None)


def test_without_zookeeper_an_orderly_end_is_unclear() -> None:
    """It says what could not be told apart."""
    facts = key(deleted(AT_S - 11), writer(AT_S, 12.0, 1, "fin"))
    finding = first(case(facts))
    assert finding.verdict is Verdict.UNCLEAR
    assert "ZooKeeper" in said(finding)


@pytest.mark.parametrize("by", ["delete", "zookeeper", "status"])
def test_killed_topology_is_seen(by: str) -> None:
    """By Nimbus' delete of all its keys, or by what ZooKeeper has left."""
    facts = key(last_s=AT_S, end="fin", ended_s=AT_S, is_stored=False)
    deletes = [(AT_S + 1, f"/workerbeats/{TOPOLOGY}", "10.0.0.9:5")]
    left = {"delete": None, "zookeeper": nodes(status=None)}
    said_by = left.get(by, nodes(status=Status.KILLED))
    judged = Case(
        [daemon({WORKER: facts}, deletes=deletes if by == "delete" else ())], said_by
    )
    assert first(judged).verdict is Verdict.TOPOLOGY_KILLED


# It was killed, paused, or cut off.


def test_killed_worker_has_a_short_uptime() -> None:
    """Its connection ended, it deleted nothing, and a new process took its place."""
    facts = key(writer(AT_S, 8.0, 1, "reset"))
    finding = first(case(facts, nodes()))
    assert finding.verdict is Verdict.KILLED
    assert "ended by a reset" in said(finding)
    assert "uptime of 1 s" in said(finding)


def test_killed_worker_that_is_still_away() -> None:
    """Its connection has ended, and it has not come back."""
    facts = key(last_s=NOW_S - 40, end="fin", ended_s=NOW_S - 39)
    finding = first(case(facts, nodes()))
    assert (finding.verdict, finding.end_s) == (Verdict.KILLED, None)


@pytest.mark.parametrize("uptime_s", [3_000, None])
def test_paused_worker_goes_on_over_its_connection(uptime_s: int | None) -> None:
    """A collection, swapping, SIGSTOP."""
    finding = first(case(key(late(AT_S, 20.0, uptime_s)), nodes()))
    assert finding.verdict is Verdict.PAUSED
    assert finding.end_s == AT_S


def test_heartbeat_that_waited_in_the_network() -> None:
    """The cable of a young worker was pulled: no process is younger than its gap."""
    finding = first(case(key(late(AT_S, 30.0, 8)), nodes()))
    assert finding.verdict is Verdict.NETWORK
    assert "waited in the network" in said(finding)


def test_worker_that_paused_as_it_began_to_load() -> None:
    """Its uptime is about as long as the silence, and it is the same process."""
    finding = first(case(key(late(AT_S, 30.0, 29)), nodes()))
    assert finding.verdict is Verdict.PAUSED


def test_worker_that_is_still_paused() -> None:
    """Its connection is open, and it says nothing."""
    finding = first(case(key(last_s=NOW_S - 25), nodes()))
    assert (finding.verdict, finding.begin_s) == (Verdict.PAUSED, NOW_S - 25)


def test_worker_that_came_back_was_cut_off() -> None:
    """Another connection, and the same process."""
    finding = first(case(key(writer(AT_S, 14.0, 3_000)), nodes()))
    assert finding.verdict is Verdict.NETWORK
    assert "uptime was 3000 s" in said(finding)


def test_new_connection_with_an_unknown_uptime_is_unclear() -> None:
    """It may have been killed, or cut off."""
    finding = first(case(key(writer(AT_S, 14.0, None)), nodes()))
    assert finding.verdict is Verdict.UNCLEAR


def test_change_of_the_pacemaker_is_no_gap() -> None:
    """A worker that goes to another Pacemaker at once is well."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    judged = Case(
        [
            daemon({WORKER: gone}),
            daemon({WORKER: key(first_s=AT_S + 3, daemon="pm2")}, name="pm2"),
        ],
        nodes(),
    )
    assert first(judged).verdict is Verdict.WELL


def test_gap_between_two_pacemakers_is_the_network() -> None:
    """The first one died, and the worker took its time."""
    gone = key(last_s=AT_S, end="reset", ended_s=AT_S)
    judged = Case(
        [
            daemon({WORKER: gone}),
            daemon({WORKER: key(first_s=AT_S + 14, daemon="pm2")}, name="pm2"),
        ],
        nodes(),
    )
    finding = first(judged)
    assert finding.verdict is Verdict.NETWORK
    assert (finding.begin_s, finding.end_s) == (AT_S, AT_S + 14)


def test_relay_hides_how_a_connection_went_on() -> None:
    """Two workers over one connection: a pause and a lost network look the same."""
    facts = key(late(AT_S, 20.0, 3_000))
    finding = first(case(facts, nodes(), node_b_6700=key()))
    assert finding.verdict is Verdict.UNCLEAR
    assert "relay" in said(finding)


def test_lone_worker_of_a_relay_is_not_taken_for_its_connection() -> None:
    """The configuration says that there are relays."""
    judged = Case(
        [daemon({WORKER: key(late(AT_S, 20.0, 3_000))})], nodes(), has_relays=True
    )
    assert first(judged).verdict is Verdict.UNCLEAR


def behind_relay(
    at_relay: KeyFacts, at_pacemaker: KeyFacts, began_s: float = BEGAN_S
) -> Case:
    """Return a case of a worker with a relay and a Pacemaker."""
    return Case(
        [
            daemon({WORKER: at_relay}, "relay", read_s=None, is_relay=True),
            daemon({WORKER: at_pacemaker}, began_s=began_s),
        ],
        nodes(),
        has_relays=True,
    )


def test_relay_of_the_worker_tells_what_it_hides() -> None:
    """The connection of the worker ends there."""
    there = key(late(AT_S, 20.0, 3_000), peer="10.0.0.1:7")
    finding = first(behind_relay(key(late(AT_S, 20.0, 3_000)), there))
    assert finding.verdict is Verdict.PAUSED


def test_heartbeat_that_a_relay_repeats_ends_no_silence() -> None:
    """To a Pacemaker that was started again it sends what it has."""
    silent = key(last_s=NOW_S - 40)
    finding = first(behind_relay(silent, key(last_s=NOW_S - 1)))
    assert (finding.verdict, finding.begin_s) == (Verdict.PAUSED, NOW_S - 40)


def test_pacemaker_that_was_started_again_behind_relays() -> None:
    """The worker wrote to its relay meanwhile."""
    finding = first(behind_relay(key(), key(first_s=AT_S + 2), began_s=AT_S))
    assert finding.verdict is Verdict.EVERYTHING


def test_two_writers_with_a_relay_each() -> None:
    """Only the Pacemaker sees both."""
    flaps = [
        writer(AT_S + 1.5 * n, 1.5, 100, "open", f"10.0.0.{1 + n % 2}:7")
        for n in range(6)
    ]
    verdicts = {
        each.verdict for each in judge(behind_relay(key(), key(*flaps)), WORKER)
    }
    assert verdicts == {Verdict.TWO_WRITERS}


def test_relay_of_a_worker_is_not_read() -> None:
    """Nimbus reads by the relay of its own host."""
    judged = Case([daemon({WORKER: key()}, read_s=None, is_relay=True)], nodes())
    assert first(judged).verdict is Verdict.WELL


def test_relay_does_not_hide_a_new_process() -> None:
    """Its uptime is in its heartbeat."""
    facts = key(late(AT_S, 20.0, 2))
    finding = first(case(facts, nodes(), node_b_6700=key()))
    assert finding.verdict is Verdict.KILLED


# Several workers at once.


def others(*silent: str, well: tuple[str, ...] = ()) -> dict[str, KeyFacts]:
    """Return other workers, by whether they were silent too."""
    found = {name: key(writer(AT_S, 20.0, 3_000), peer=name) for name in silent}
    return found | {name: key(peer=name) for name in well}


def test_whole_host() -> None:
    """All of its workers were silent at once, and no others."""
    known = others("node_a_6701", well=("node_b_6700", "node_c_6700"))
    finding = first(case(key(writer(AT_S, 20.0, 3_000)), nodes(), **known))
    assert finding.verdict is Verdict.WHOLE_HOST
    assert "all 2 workers of its host" in said(finding)


def test_lone_worker_of_a_host_that_is_cut_off() -> None:
    """Its connection never ended, and its supervisor's session is over."""
    facts = key(last_s=NOW_S - 60)
    finding = first(case(facts, nodes(supervisors=("node-b",))))
    assert finding.verdict is Verdict.WHOLE_HOST


def test_everything_at_once() -> None:
    """Nearly all workers of several hosts: not the fault of any of them."""
    known = others("node_b_6700", "node_c_6700")
    finding = first(case(key(writer(AT_S, 20.0, 3_000)), nodes(), **known))
    assert finding.verdict is Verdict.EVERYTHING


def test_workers_that_are_stopped_together_are_not_everything() -> None:
    """A rebalance: each of them deletes its key."""
    known = {
        f"node_{host}_6700": key(
            deleted(AT_S - 18), writer(AT_S, 20.0, 1, "fin"), peer=host
        )
        for host in "bc"
    }
    facts = key(deleted(AT_S - 18), writer(AT_S, 20.0, 1, "fin"))
    finding = first(case(facts, nodes(assigned_s=int(AT_S) - 20), **known))
    assert finding.verdict is Verdict.STOPPED


def test_daemon_that_was_started_again() -> None:
    """It remembers nothing before, and the worker is older."""
    facts = key(first_s=AT_S + 2, uptime_s=8_000)
    judged = Case([daemon({WORKER: facts}, began_s=AT_S)], nodes())
    finding = first(judged)
    assert finding.verdict is Verdict.EVERYTHING
    assert "started again" in said(finding)


# Without a gap.


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


def test_newest_finding_comes_first() -> None:
    """A story is read from its end."""
    facts = key(late(AT_S, 20.0, 3_000), writer(AT_S + 100, 14.0, 3_100))
    found = judge(case(facts, nodes()), WORKER)
    assert [each.verdict for each in found] == [Verdict.NETWORK, Verdict.PAUSED]
