"""The cluster state over lost connections, lost answers and ended sessions.

Each request goes over a link that the test cuts at a chosen moment: before
the server has the request, or when the server has answered it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pacemaker.cluster_state.cluster_state import ClusterState
from pacemaker.cluster_state.events import ConnectionState, EventType
from pacemaker.cluster_state.zookeeper_state import VersionedData
from pacemaker.config.settings import Settings
from pacemaker.errors import AnswerLostError, UnavailableError
from tests.cluster_state.zookeepers import (
    AnyLink,
    AnyZooKeeper,
    Fake,
    Heard,
    Real,
    open_state,
)
from tests.real.zookeeper import SESSION_MS, SHORT_SESSION_MS, ZooKeeper, new_settings


class Cluster(NamedTuple):
    """One cluster, seen over a link that breaks and directly."""

    link: AnyLink
    state: ClusterState
    observer: ClusterState
    heard: Heard


@contextlib.contextmanager
def open_cluster(zookeeper: AnyZooKeeper, settings: Settings) -> Iterator[Cluster]:
    """Open a cluster's state twice, once over a link; the other one is patient."""
    patient = dataclasses.replace(settings, zookeeper_session_timeout_ms=SESSION_MS)
    with (
        open_state(zookeeper, patient) as observer,
        zookeeper.linked(settings) as (link, state),
    ):
        yield Cluster(link, state, observer, Heard(state))


@pytest.fixture
def cluster(zookeeper: AnyZooKeeper) -> Iterator[Cluster]:
    """Open a cluster whose sessions outlive the test."""
    with open_cluster(zookeeper, zookeeper.settings()) as opened:
        yield opened


@pytest.fixture
def short(zookeeper: AnyZooKeeper) -> Iterator[Cluster]:
    """Open a cluster whose sessions end soon, and whose calls do."""
    with open_cluster(zookeeper, zookeeper.settings(SHORT_SESSION_MS)) as opened:
        yield opened


@pytest.fixture
def brief(zookeeper: AnyZooKeeper) -> Iterator[Cluster]:
    """Open a cluster whose calls end soon."""
    with open_cluster(zookeeper, zookeeper.settings(zookeeper.brief_ms)) as opened:
        yield opened


@pytest.fixture(scope="module")
def strict_zookeeper(
    zookeeper: AnyZooKeeper, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnyZooKeeper]:
    """Give a ZooKeeper that lets no session live long."""
    if isinstance(zookeeper, Fake):
        yield zookeeper
        return
    folder = tmp_path_factory.mktemp("strict")
    with ZooKeeper(folder, session_max_ms=SHORT_SESSION_MS) as started:
        yield Real(started)


@pytest.fixture
def patient(strict_zookeeper: AnyZooKeeper) -> Iterator[Cluster]:
    """Open a cluster whose sessions end soon, and whose calls wait longer."""
    with open_cluster(strict_zookeeper, strict_zookeeper.settings()) as opened:
        yield opened


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Return where a call runs while the test breaks its connection."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


def ephemeral(state: ClusterState) -> None:
    """Set an ephemeral node."""
    state.set_ephemeral_node("/n/ephemeral", b"new")


class Case(NamedTuple):
    """One call, which of its requests is lost, and what it gives all the same."""

    name: str
    call: Callable[[ClusterState], Any]
    lost: str
    gives: Any
    leaves: Callable[[ClusterState], Any] = lambda state: None
    left: Any = None


CASES = (
    Case("get_data", lambda s: s.get_data("/n/a"), "get", b"old"),
    Case("node_exists", lambda s: s.node_exists("/n/a"), "exists", True),
    Case("get_version", lambda s: s.get_version("/n/a"), "exists", 0),
    Case(
        "get_data_with_version",
        lambda s: s.get_data_with_version("/n/a"),
        "get",
        VersionedData(0, b"old"),
    ),
    Case("get_children", lambda s: s.get_children("/n"), "get_children", ["a"]),
    Case("sync_path", lambda s: s.sync_path("/n"), "sync", None),
    Case(
        "set_data",
        lambda s: s.set_data("/n/a", b"new"),
        "set",
        None,
        lambda s: s.get_data_with_version("/n/a"),
        VersionedData(1, b"new"),
    ),
    Case(
        "set_data of a new node",
        lambda s: s.set_data("/n/b", b"new"),
        "create",
        None,
        lambda s: s.get_data_with_version("/n/b"),
        VersionedData(0, b"new"),
    ),
    Case(
        "set_ephemeral_node",
        ephemeral,
        "create",
        None,
        lambda s: s.get_data_with_version("/n/ephemeral"),
        VersionedData(0, b"new"),
    ),
    Case(
        "mkdirs",
        lambda s: s.mkdirs("/n/b"),
        "create",
        None,
        lambda s: s.get_data_with_version("/n/b"),
        VersionedData(0, b"\x07"),
    ),
    Case(
        "create_sequential",
        lambda s: s.create_sequential("/n/e", b"new"),
        "create",
        "/n/e0000000001",
        lambda s: sorted(s.get_children("/n")),
        ["a", "e0000000001"],
    ),
    Case(
        "delete_node",
        lambda s: s.delete_node("/n/a"),
        "delete",
        None,
        lambda s: s.get_children("/n"),
        [],
    ),
    Case(
        "delete_node_blobstore",
        lambda s: s.delete_node_blobstore("/n", "a"),
        "delete",
        None,
        lambda s: s.get_children("/n"),
        [],
    ),
)


@pytest.mark.parametrize("is_served", [False, True], ids=["not-served", "served"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_call_outlives_its_connection(
    cluster: Cluster, pool: ThreadPoolExecutor, case: Case, is_served: bool
) -> None:
    """A call whose connection ends gives what it should, and is done exactly once."""
    cluster.observer.set_data("/n/a", b"old")
    start = cluster.link.drop_answer if is_served else cluster.link.hold
    start(case.lost)
    answer = pool.submit(case.call, cluster.state)
    cluster.link.wait_caught()
    cluster.link.cut()
    assert answer.result() == case.gives
    assert case.leaves(cluster.observer) == case.left


def test_call_waits_for_a_connection(
    cluster: Cluster, pool: ThreadPoolExecutor
) -> None:
    """A call that is made while there is no connection is sent when there is one."""
    cluster.link.close_gate()
    cluster.heard.wait_for(ConnectionState.SUSPENDED)
    answer = pool.submit(cluster.state.create_sequential, "/n/e", b"")
    cluster.link.open_gate()
    assert answer.result() == "/n/e0000000000"


def test_no_connection_is_an_error_in_time(
    brief: Cluster, zookeeper: AnyZooKeeper
) -> None:
    """Without a connection a call ends with its deadline, and has changed nothing."""
    limit = f"no connection in {zookeeper.brief_ms / 1000:g} s"
    brief.link.close_gate()
    brief.heard.wait_for(ConnectionState.SUSPENDED)
    with pytest.raises(UnavailableError, match=f"get_data /a: {limit}"):
        brief.state.get_data("/a")


def test_silent_server_is_an_error_in_time(brief: Cluster) -> None:
    """A server that takes requests and answers none costs a read its deadline."""
    brief.observer.set_data("/a", b"one")
    brief.link.drop_answer("get")
    with pytest.raises(UnavailableError, match="get_data /a: no"):
        # kazoo gives the connection up and gets new ones, as silent as this.
        brief.state.get_data("/a")


@pytest.mark.parametrize("is_served", [False, True], ids=["not-served", "served"])
def test_lost_answer_is_raised_where_it_stays_lost(
    brief: Cluster, pool: ThreadPoolExecutor, is_served: bool
) -> None:
    """Without a connection to read back by, a write is said to have an open end."""
    brief.observer.set_data("/a", b"old")
    start = brief.link.drop_answer if is_served else brief.link.hold
    start("set")
    answer = pool.submit(brief.state.set_data, "/a", b"new")
    brief.link.wait_caught()
    brief.link.close_gate()
    with pytest.raises(AnswerLostError, match="set_data /a: the answer was lost"):
        answer.result()
    assert brief.observer.get_data("/a") == (b"new" if is_served else b"old")


def lose_write(
    cluster: Cluster, pool: ThreadPoolExecutor, call: Callable[[], Any], lost: str
) -> Future[Any]:
    """Begin a write, lose it before it is served, and leave the link closed."""
    cluster.link.hold(lost)
    answer = pool.submit(call)
    cluster.link.wait_caught()
    cluster.link.close_gate()
    return answer


@pytest.mark.parametrize(
    "meanwhile",
    [lambda s: s.set_data("/a", b"other"), lambda s: s.delete_node("/a")],
    ids=["written", "deleted"],
)
def test_write_is_not_repeated_over_another(
    cluster: Cluster,
    pool: ThreadPoolExecutor,
    meanwhile: Callable[[ClusterState], None],
) -> None:
    """A lost write after which another client has written is left to the caller."""
    cluster.observer.set_data("/a", b"old")
    answer = lose_write(
        cluster, pool, lambda: cluster.state.set_data("/a", b"new"), "set"
    )
    meanwhile(cluster.observer)
    cluster.link.open_gate()
    with pytest.raises(AnswerLostError, match="since"):
        answer.result()
    assert cluster.observer.get_data("/a") != b"new"


def test_create_gives_way_to_another(
    cluster: Cluster, pool: ThreadPoolExecutor
) -> None:
    """A node that another client creates meanwhile is written instead."""
    answer = lose_write(
        cluster, pool, lambda: cluster.state.set_data("/a", b"new"), "create"
    )
    cluster.observer.set_data("/a", b"other")
    cluster.link.open_gate()
    answer.result()
    assert cluster.observer.get_data_with_version("/a") == VersionedData(1, b"new")


def test_delete_spares_a_new_node(cluster: Cluster, pool: ThreadPoolExecutor) -> None:
    """A node that was deleted, and created by another since, is not deleted again."""
    cluster.observer.set_data("/a", b"old")
    answer = lose_write(
        cluster, pool, lambda: cluster.state.delete_node("/a"), "delete"
    )
    cluster.observer.delete_node("/a")
    cluster.observer.set_data("/a", b"other")
    cluster.link.open_gate()
    answer.result()
    assert cluster.observer.get_data("/a") == b"other"


def test_sequential_node_is_told_from_others(
    cluster: Cluster, pool: ThreadPoolExecutor
) -> None:
    """A lost answer's node is found among an older one of ours and another client's."""
    assert cluster.state.create_sequential("/q/e", b"same") == "/q/e0000000000"
    cluster.link.drop_answer("create")
    answer = pool.submit(cluster.state.create_sequential, "/q/e", b"same")
    cluster.link.wait_caught()
    cluster.link.close_gate()
    assert cluster.observer.create_sequential("/q/e", b"same") == "/q/e0000000002"
    cluster.link.open_gate()
    assert answer.result() == "/q/e0000000001"
    assert len(cluster.observer.get_children("/q")) == 3


def end_session(cluster: Cluster, path: str) -> None:
    """Keep the link closed until ZooKeeper has ended the session and its node."""
    heard = Heard(cluster.observer)
    assert cluster.observer.node_exists(path, watch=True)
    cluster.link.close_gate()
    cluster.link.end_sessions()
    assert heard.event() == (EventType.DELETED, path)


def test_ephemeral_node_goes_with_an_ended_session(short: Cluster) -> None:
    """An ephemeral node is gone after its session, a listener knows, it can be set."""
    short.state.set_ephemeral_node("/eph", b"one")
    end_session(short, "/eph")
    short.link.open_gate()
    short.heard.wait_for(ConnectionState.SUSPENDED)
    short.heard.wait_for(ConnectionState.LOST)
    short.heard.wait_for(ConnectionState.RECONNECTED)
    assert not short.state.node_exists("/eph")
    short.state.set_ephemeral_node("/eph", b"two")
    assert short.observer.get_data("/eph") == b"two"


@pytest.mark.parametrize(
    ("is_served", "number"), [(False, 0), (True, 1)], ids=["not-served", "served"]
)
def test_sequential_create_outlives_its_session(
    patient: Cluster, pool: ThreadPoolExecutor, is_served: bool, number: int
) -> None:
    """Where the session ends, and its node with it, one node is there in the end."""
    patient.state.set_ephemeral_node("/eph", b"")
    patient.state.set_data("/q", b"")
    start = patient.link.drop_answer if is_served else patient.link.hold
    start("create")
    answer = pool.submit(patient.state.create_sequential, "/q/e", b"x")
    patient.link.wait_caught()
    end_session(patient, "/eph")
    patient.link.open_gate()
    assert answer.result() == f"/q/e{number:010d}"
    assert patient.observer.get_children("/q") == [f"e{number:010d}"]


class Change(NamedTuple):
    """A watch, a change that it is to tell of, and what it tells."""

    name: str
    read: Callable[[ClusterState], Any]
    do: Callable[[ClusterState], None]
    told: tuple[EventType, str]


def recreate(state: ClusterState) -> None:
    """Delete a node and create it anew."""
    state.delete_node("/w/node")
    state.set_data("/w/node", b"two")


CHANGES = (
    Change(
        "written",
        lambda s: s.node_exists("/w/node", watch=True),
        lambda s: s.set_data("/w/node", b"two"),
        (EventType.DATA_CHANGED, "/w/node"),
    ),
    Change(
        "deleted",
        lambda s: s.get_data("/w/node", watch=True),
        lambda s: s.delete_node("/w/node"),
        (EventType.DELETED, "/w/node"),
    ),
    Change(
        "created",
        lambda s: s.get_data("/w/new", watch=True),
        lambda s: s.set_data("/w/new", b""),
        (EventType.CREATED, "/w/new"),
    ),
    Change(
        "child created",
        lambda s: s.get_children("/w", watch=True),
        lambda s: s.set_data("/w/new", b""),
        (EventType.CHILDREN_CHANGED, "/w"),
    ),
    Change(
        "parent deleted",
        lambda s: s.get_children("/w/node", watch=True),
        lambda s: s.delete_node("/w/node"),
        (EventType.DELETED, "/w/node"),
    ),
)
CREATED_ANEW = Change(
    "created anew",
    lambda s: s.get_version("/w/node", watch=True),
    recreate,
    (EventType.DATA_CHANGED, "/w/node"),
)


@pytest.mark.parametrize("change", [*CHANGES, CREATED_ANEW], ids=lambda c: str(c.name))
def test_missed_change_is_told(cluster: Cluster, change: Change) -> None:
    """What changed while there was no connection is told once when there is one."""
    cluster.observer.set_data("/w/node", b"one")
    change.read(cluster.state)
    cluster.link.close_gate()
    cluster.heard.wait_for(ConnectionState.SUSPENDED)
    change.do(cluster.observer)
    cluster.link.open_gate()
    assert cluster.heard.event() == change.told
    cluster.observer.delete_node("/w")
    cluster.state.sync_path("/")
    assert cluster.heard.no_event()


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: str(c.name))
def test_watch_fires_after_a_lost_connection(cluster: Cluster, change: Change) -> None:
    """A watch that missed nothing tells of the next change on the new connection."""
    cluster.observer.set_data("/w/node", b"one")
    change.read(cluster.state)
    for _ in range(2):
        cluster.link.cut()
        cluster.heard.wait_for(ConnectionState.RECONNECTED)
    # Waits until the watches are set again, before which no call is sent.
    cluster.state.sync_path("/")
    assert cluster.heard.no_event()
    change.do(cluster.observer)
    assert cluster.heard.event() == change.told


@pytest.mark.parametrize("is_missed", [True, False], ids=["missed", "afterwards"])
def test_watch_outlives_its_session(short: Cluster, is_missed: bool) -> None:
    """A watch tells of a change also where its session has ended."""
    short.observer.set_data("/w/node", b"one")
    short.state.set_ephemeral_node("/eph", b"")
    short.state.get_data("/w/node", watch=True)
    short.state.get_children("/w", watch=True)
    end_session(short, "/eph")
    if is_missed:
        short.observer.set_data("/w/node", b"two")
    short.link.open_gate()
    short.heard.wait_for(ConnectionState.LOST)
    short.heard.wait_for(ConnectionState.RECONNECTED)
    if not is_missed:
        short.state.sync_path("/")
        assert short.heard.no_event()
        short.observer.set_data("/w/node", b"two")
    assert short.heard.event() == (EventType.DATA_CHANGED, "/w/node")
    short.observer.delete_node("/w/node")
    assert short.heard.event() == (EventType.CHILDREN_CHANGED, "/w")


@pytest.mark.real
def test_server_may_be_killed(tmp_path: Path) -> None:
    """A ZooKeeper that is killed and started again finds its clients and watches.

    The gate is closed while it starts: ZooKeeper 3.9 never answers those who connect in
    the first moments after it has bound its port, and kazoo waits for that as long as
    for a session.
    """
    with contextlib.ExitStack() as opened:
        with ZooKeeper(tmp_path) as first:
            settings: Settings = new_settings(first.port)
            link, state = opened.enter_context(Real(first).linked(settings))
            heard = Heard(state)
            state.set_ephemeral_node("/eph", b"")
            state.get_data("/eph", watch=True)
            first.signal(signal.SIGKILL)
            first.wait()
            link.close_gate()
        with ZooKeeper(tmp_path, settings.zookeeper_port):
            link.open_gate()
            assert state.get_data("/eph") == b""
            assert heard.no_event()
            state.set_data("/eph", b"two")
            assert heard.event() == (EventType.DATA_CHANGED, "/eph")
            opened.close()
