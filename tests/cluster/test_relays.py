"""A cluster with a relay on each host: no Pacemaker's death costs a heartbeat."""

from __future__ import annotations

import signal
import time

import pytest

from tests.cluster.cluster import ROUND_S, TASK_TIMEOUT_S, Cluster, Setup
from tests.cluster.conftest import Record
from tests.cluster.dead_supervisor import kill_supervisor
from tests.cluster.observation import Observation, Outcome, keep_ports
from tests.cluster.pacemaker_events import EVENTS, Event
from tests.cluster.pacemakers import Kind
from tests.cluster.releases import NEWEST_ALONE, only_with_all
from tests.cluster.two_hosts import make_hosts, number

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("release", NEWEST_ALONE, scope="module"),
]

__all__ = ["make_hosts", "number"]

WORKERS = 6
LONGEST_GAP_S = 5.0
LONGEST_ROUND_S = 12.0
"""Nimbus begins a round every 10 s."""
CLOSED_PORT_GAP_S = 20.0
"""Storm's client needs 13 to 16 s for another connection, and writes every 3 s."""


@pytest.fixture(scope="module")
def setup(release: str, kind: Kind) -> Setup:
    """Say what kind of cluster: with workers enough to hold Nimbus up."""
    return Setup(release, workers=WORKERS, kind=kind, has_relays=True)


def test_one_is_killed(cluster: Cluster, recording: Record) -> None:
    """No heartbeat is lost, and Nimbus's rounds stay as they were."""
    _assert_unnoticed(*_outcome_of(EVENTS["killed"], cluster, recording))


@only_with_all
def test_one_is_cut_off(cluster: Cluster, recording: Record) -> None:
    """Packets to it are lost without a word; it is up to date when it is back."""
    _assert_unnoticed(*_outcome_of(EVENTS["cut-off"], cluster, recording))


@only_with_all
def test_one_hangs(cluster: Cluster, recording: Record) -> None:
    """It accepts connections and answers nothing."""
    _assert_unnoticed(*_outcome_of(EVENTS["hangs"], cluster, recording))


@only_with_all
def test_both_are_restarted(cluster: Cluster, recording: Record) -> None:
    """One after the other, with closed ports, each empty after its start."""
    _assert_unnoticed(*_outcome_of(EVENTS["restarted"], cluster, recording))


@only_with_all
def test_one_comes_back_empty_while_the_other_is_cut_off(
    cluster: Cluster, recording: Record
) -> None:
    """The empty one is complete as soon as the relays have repeated all heartbeats."""
    _assert_unnoticed(*_outcome_of(EVENTS["empty"], cluster, recording))


@only_with_all
@pytest.mark.parametrize("outage_s", [5, 25, 100])
def test_all_are_away(cluster: Cluster, recording: Record, outage_s: int) -> None:
    """Workers write to their relay meanwhile, and nothing moves.

    Nimbus of 2.x may end itself, as it does without relays if it can read nothing for
    so long.
    """
    outcome, _ = _outcome_of(EVENTS[f"away-{outage_s}"], cluster, recording)
    assert outcome.nothing_moved, outcome


def _outcome_of(
    event: Event, cluster: Cluster, recording: Record
) -> tuple[Outcome, float]:
    """Let an event happen; return also for how long there was no Pacemaker at all."""
    keep_ports(cluster, False)
    with Observation(cluster) as seen:
        none_s = event.happen(*cluster.pacemakers)
        seen.over()
        outcome = seen.outcome()
    recording(event.scenario("relays"), outcome)
    return outcome, none_s


def test_relays_are_upgraded_in_place(cluster: Cluster, recording: Record) -> None:
    """Every connection and every newest heartbeat is carried over."""
    with Observation(cluster) as seen:
        for relay in cluster.relays.values():
            relay.upgrade()
        seen.over()
        outcome = seen.outcome()
    recording("6. relays: all relays are upgraded in place", outcome)
    _assert_unnoticed(outcome)


@only_with_all
def test_relays_are_killed(cluster: Cluster, recording: Record) -> None:
    """With their ports kept, their clients are reset and back at once."""
    with Observation(cluster) as seen:
        longest_s = 0.0
        for relay in cluster.relays.values():
            began_s = time.monotonic()
            relay.end(signal.SIGKILL)
            relay.start()
            longest_s = max(longest_s, time.monotonic() - began_s)
        seen.over()
        outcome = seen.outcome()
    recording("6. relays: all relays are killed, ports kept", outcome)
    assert outcome.nothing_moved, outcome
    assert max(outcome.flow.gaps_s) <= LONGEST_GAP_S + longest_s, outcome


@only_with_all
def test_relays_are_restarted_with_closed_ports(
    cluster: Cluster, recording: Record
) -> None:
    """Without a kept port Storm's clients wait as they do for any server."""
    _keep_relay_ports(cluster, False)
    with Observation(cluster) as seen:
        for relay in cluster.relays.values():
            relay.end(signal.SIGTERM)
            relay.start()
        seen.over()
        outcome = seen.outcome()
    recording("6. relays: all relays are restarted, ports closed", outcome)
    _keep_relay_ports(cluster, True)
    assert outcome.nothing_moved, outcome
    assert max(outcome.flow.gaps_s) <= CLOSED_PORT_GAP_S + seen.away_s, outcome


def _keep_relay_ports(cluster: Cluster, keep: bool) -> None:
    """See that the relays' ports are kept while they are away, or are not."""
    changing = [one for one in cluster.relays.values() if one.keeps_port != keep]
    with Observation(cluster) as seen:
        for relay in changing:
            relay.end(signal.SIGTERM)
            relay.keep_port(keep)
            relay.start()
        seen.over()
        seen.outcome()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["control", "restarted"])
def test_workers_of_a_dead_host_move_to_another(
    cluster: Cluster, recording: Record, is_restarted: bool
) -> None:
    """Nimbus notices as soon as without relays, and the new workers' heartbeats arrive.

    A Pacemaker that comes back then gets the heartbeats of all workers that are
    connected: those of the dead ones must not be among them.
    """
    keep_ports(cluster, False)
    dead = kill_supervisor(cluster, is_restarted)
    event = "relays: a supervisor and its workers are killed"
    more = ", and a Pacemaker, which comes back" if is_restarted else ""
    recording(f"control: {event}{more}", dead.outcome)
    # Nimbus counts from its first reading of a heartbeat, up to a round after that
    # was written, and looks once a round.
    assert dead.took_s <= TASK_TIMEOUT_S + 2 * ROUND_S, dead


def _assert_unnoticed(outcome: Outcome, none_s: float = 0.0) -> None:
    """Check that nobody has noticed anything, but for a time without any Pacemaker."""
    assert outcome.nothing_moved, outcome
    assert not outcome.nimbus_ended, outcome
    assert none_s or not outcome.flow.lost, outcome
    assert max(outcome.flow.gaps_s) <= LONGEST_GAP_S + none_s, outcome
    assert outcome.longest_round_s <= LONGEST_ROUND_S, outcome
