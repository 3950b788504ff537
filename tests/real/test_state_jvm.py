"""The cluster state crosswise with Storm's own: what either writes, the other reads."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cluster_state.cluster_state import ClusterState
from pacemaker.cluster_state.factory import pacemaker_state_factory
from pacemaker.config.settings import Settings
from pacemaker.heartbeats.codec import decode, encode
from pacemaker.heartbeats.compression import Compression
from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
    WorkerHeartbeat,
)
from tests.real.clients import driver_classpath
from tests.real.daemons import Daemon
from tests.real.jvm import JavaProgram
from tests.real.zookeeper import ZooKeeper, new_settings

pytestmark = pytest.mark.real

RELEASES = ("1.2.4", "2.8.3")
BEAT = "/workerbeats/words-1-1700000000/7a4e-6700"

ALL_TIME = ":all-time"
SPOUT_SOURCE = GlobalStreamId("spout", "default")
SAMPLE = WorkerHeartbeat(
    topology_id="wörter-1-1700000000",
    time_secs=1700000123,
    uptime_secs=77,
    executors={
        ExecutorInfo(1, 1): ExecutorStats(
            emitted={ALL_TIME: {"default": 2**40}, "600": {}},
            transferred={ALL_TIME: {"default": 5}, "600": {}},
            specific=SpoutStats(
                acked={ALL_TIME: {"default": 10}, "600": {}},
                failed={ALL_TIME: {"default": 0}, "600": {}},
                complete_ms_avg={ALL_TIME: {"default": 2.5}, "600": {}},
            ),
            rate=20.0,
        ),
        ExecutorInfo(2, 4): ExecutorStats(
            emitted={ALL_TIME: {"default": 2**40}, "600": {}},
            transferred={ALL_TIME: {"default": 5}, "600": {}},
            specific=BoltStats(
                acked={ALL_TIME: {SPOUT_SOURCE: 7}},
                failed={ALL_TIME: {SPOUT_SOURCE: 1}},
                process_ms_avg={ALL_TIME: {SPOUT_SOURCE: 0.25}},
                executed={ALL_TIME: {SPOUT_SOURCE: 8}},
                execute_ms_avg={ALL_TIME: {SPOUT_SOURCE: 0.5}},
            ),
            rate=20.0,
        ),
    },
)
"""The heartbeat that HeartbeatCodec.java makes."""


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Name each release."""
    return str(request.param)


@pytest.fixture(scope="module")
def codec(release: str) -> Iterator[JavaProgram]:
    """Start what writes and reads heartbeats as a release does."""
    with JavaProgram("HeartbeatCodec", driver_classpath(release)) as started:
        yield started


def test_heartbeat_of_storm_is_read(codec: JavaProgram) -> None:
    """Each figure of a heartbeat that Storm's delegate has written is read."""
    assert decode(bytes.fromhex(codec.ask("sample 1700000123"))) == SAMPLE


def test_heartbeat_is_read_by_storm(codec: JavaProgram) -> None:
    """Storm's delegate reads ours, each figure of it, and gives it back."""
    answer = codec.ask(f"rewrite {encode(SAMPLE).hex()}")
    assert decode(bytes.fromhex(answer)) == SAMPLE


def test_storm_3_speaks_another_way(codec: JavaProgram) -> None:
    """What only Storm 3 reads, these releases refuse: the width of the time matters."""
    assert codec.ask(f"rewrite {encode(SAMPLE, time_bits=64).hex()}") == "refused"
    plain = encode(SAMPLE, Compression.NONE)
    assert codec.ask(f"rewrite {plain.hex()}") == "refused"


@pytest.fixture(scope="module")
def settings(zookeeper: ZooKeeper) -> Iterator[Settings]:
    """Start our daemon, and return the settings of a cluster with it."""
    with Daemon() as daemon:
        host, port = daemon.address
        yield dataclasses.replace(
            new_settings(zookeeper.port), servers=(host,), port=port
        )


class Storm(JavaProgram):
    """The whole cluster state of a release; see StateCaller.java."""

    def __init__(
        self, release: str, settings: Settings, folder: Path, *pairs: str
    ) -> None:
        # 1.x asks for a name with a slash in it on the JDKs of today.
        names = f"localhost localhost/<unresolved> {socket.gethostname()}"
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 {names}\n")
        super().__init__(
            "StateCaller",
            driver_classpath(release),
            str(settings.zookeeper_port),
            settings.zookeeper_root,
            str(settings.port),
            *pairs,
            options=[f"-Djdk.net.hosts.file={hosts}", "-Dzookeeper.sasl.client=false"],
        )
        if self.line() != "ready":
            self.stop()
            raise self.error("is not ready")


@pytest.fixture(scope="module")
def storm(
    release: str, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storm]:
    """Start the whole cluster state of a release."""
    with Storm(release, settings, tmp_path_factory.mktemp("storm")) as started:
        yield started


@pytest.fixture
def ours(settings: Settings) -> Iterator[ClusterState]:
    """Open our cluster state."""
    with pacemaker_state_factory(settings) as state:
        yield state
        state.delete_node("/")


def test_nodes_are_shared(storm: Storm, ours: ClusterState) -> None:
    """Data, versions and children are the same seen from either side."""
    ours.set_data("/assignments/t-1", b"ours")
    assert storm.ask("get_data /assignments/t-1 false") == b"ours".hex()
    assert storm.ask("set_data /assignments/t-1 73746f726d null") == "none"
    assert ours.get_data("/assignments/t-1") == b"storm"
    assert storm.ask("set_data /assignments/t-2 - null") == "none"
    assert sorted(ours.get_children("/assignments")) == ["t-1", "t-2"]
    assert storm.ask("get_children /assignments false") == "t-1,t-2"
    assert storm.ask("get_version /assignments/t-1 false") == "1"
    assert ours.get_version("/assignments/t-1") == 1
    assert storm.ask("delete_node /assignments") == "none"
    assert not ours.node_exists("/assignments")
    assert storm.ask("node_exists /assignments false") == "false"
    assert storm.ask("sync_path /assignments") == "none"


def test_heartbeats_are_shared(
    storm: Storm, codec: JavaProgram, ours: ClusterState
) -> None:
    """A heartbeat that one side stores on our daemon is what the other reads."""
    theirs = codec.ask("sample 1700000123")
    assert storm.ask(f"set_worker_hb {BEAT} {theirs} null") == "none"
    stored = ours.get_worker_hb(BEAT)
    assert stored is not None
    assert decode(stored) == SAMPLE
    newer = encode(dataclasses.replace(SAMPLE, time_secs=1700000124))
    ours.set_worker_hb(BEAT, newer)
    assert storm.ask(f"get_worker_hb {BEAT} false") == newer.hex()
    assert storm.ask("get_worker_hb_children /workerbeats false") == (
        "words-1-1700000000"
    )
    assert ours.get_worker_hb_children("/workerbeats") == ["words-1-1700000000"]
    assert storm.ask("delete_worker_hb /workerbeats/words-1-1700000000") == "none"
    assert ours.get_worker_hb(BEAT) is None
    ours.set_worker_hb(BEAT, newer)
    ours.delete_worker_hb("/workerbeats/words-1-1700000000")
    assert storm.ask(f"get_worker_hb {BEAT} false") == "none"


def test_directories_are_alike(storm: Storm, ours: ClusterState, release: str) -> None:
    """A directory that we make holds what Storm's own holds."""
    # 1.x gives the path, 2.x nothing.
    assert storm.ask("mkdirs /theirs/a/b null") in ("/theirs/a/b", "none")
    ours.mkdirs("/ours/a/b")
    assert ours.get_data("/ours/a/b") == ours.get_data("/theirs/a/b")
    # 1.x marks those above it as well; nobody reads the mark.
    above = b"\x07" if release == "1.2.4" else b""
    assert ours.get_data("/theirs/a") == above


def test_ephemeral_and_numbered_nodes_are_alike(
    storm: Storm, ours: ClusterState
) -> None:
    """Either side sees the other's ephemeral nodes, and numbers after its last."""
    ours.set_ephemeral_node("/nimbuses/ours", b"1")
    assert storm.ask("set_ephemeral_node /nimbuses/theirs 32 null") == "none"
    assert storm.ask("get_children /nimbuses false") == "ours,theirs"
    assert ours.get_data("/nimbuses/theirs") == b"2"
    first = storm.ask("create_sequential /errors/e 31 null")
    assert first == "/errors/e0000000000"
    assert ours.create_sequential("/errors/e", b"2") == "/errors/e0000000001"
    assert storm.ask("get_data /errors/e0000000001 false") == b"2".hex()


def test_blobs_are_alike(storm: Storm, ours: ClusterState) -> None:
    """Either side deletes the nodes of one Nimbus that the other has made."""
    for name in ("one:6627-1", "two:6627-1", "three:6627-1"):
        ours.set_data(f"/blobstore/key/{name}", b"")
    assert storm.ask("delete_node_blobstore /blobstore/key one:6627") == "none"
    ours.delete_node_blobstore("/blobstore/key", "two:6627")
    assert storm.ask("get_children /blobstore/key false") == "three:6627-1"


def test_secrets_are_shared(settings: Settings, tmp_path: Path, release: str) -> None:
    """With one secret for both, either side reads what the other has closed."""
    secret = dataclasses.replace(
        settings,
        zookeeper_root=f"/secret-{release}",
        zookeeper_auth_scheme="digest",
        zookeeper_auth_payload="nimbus:secret",
    )
    pairs = (
        "storm.zookeeper.auth.scheme=digest",
        "storm.zookeeper.auth.payload=nimbus:secret",
    )
    with (
        pacemaker_state_factory(secret) as ours,
        Storm(release, secret, tmp_path, *pairs) as storm,
    ):
        ours.set_data("/a", b"1")
        assert storm.ask("get_data /a false") == b"1".hex()
        assert storm.ask("set_data /b/c 32 null") == "none"
        assert ours.get_data("/b/c") == b"2"
        ours.set_data("/b/c", b"3")
        assert storm.ask("get_data /b/c false") == b"3".hex()
