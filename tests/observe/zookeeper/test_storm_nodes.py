"""Storm's nodes in ZooKeeper: any release's form is read, wrong ones are refused."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.transport import TMemoryBuffer

from pacemaker.errors import NodeMissingError, ValueDecodeError
from pacemaker.heartbeats.compression import Compression, compress
from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.observe.zookeeper import storm_nodes
from pacemaker.observe.zookeeper.reading import read_nodes
from pacemaker.observe.zookeeper.storm_nodes import Slot, Status, slot_of
from pacemaker.wire import idl

IDL = idl.load("cluster.thrift")


def stored(kind: str, /, **fields: object) -> bytes:
    """Return a node's value, gzipped as Storm stores it."""
    transport = TMemoryBuffer()
    getattr(IDL, kind)(**fields).write(TBinaryProtocol(transport))
    return compress(transport.getvalue(), Compression.GZIP)


def assignment() -> bytes:
    """Return an assignment; Python's dicts cannot have its lists as keys."""

    def text(value: str) -> bytes:
        return struct.pack(">i", len(value)) + value.encode()

    tasks = b"\x0a" + struct.pack(">iqq", 2, 1, 3)
    info = b"\x0b\x00\x01" + text("sup-a")
    info += b"\x0e\x00\x02\x0a" + struct.pack(">iq", 1, 6700) + b"\x00"
    plain = b"\x0d\x00\x02\x0b\x0b" + struct.pack(">i", 1)
    plain += text("sup-a") + text("alpha")
    plain += b"\x0d\x00\x03\x0f\x0c" + struct.pack(">i", 1) + tasks + info
    plain += b"\x0d\x00\x04\x0f\x0a" + struct.pack(">i", 1) + tasks
    plain += struct.pack(">q", 1700000000) + b"\x00"
    return compress(plain, Compression.GZIP)


BASE = stored(
    "StormBase",
    name="words",
    status=1,
    num_workers=2,
    component_executors={"words": 1},
    launch_time_secs=1700000000,
    owner="storm",
)
SUPERVISOR = stored(
    "SupervisorInfo",
    time_secs=1,
    hostname="alpha",
    used_ports=[6700],
    meta=[6700, 6701],
    uptime_secs=50,
    version="2.8.3",
)
NIMBUS = stored(
    "NimbusSummary", host="alpha", port=6627, uptime_secs=9, version="2.8.3"
)
ERROR = stored(
    "ErrorInfo", error="java.lang.Error: x\n\tat y", error_time_secs=7, host="a", port=1
)


def test_a_storm_base_is_read() -> None:
    """Its fields have Storm's meaning."""
    base = storm_nodes.storm_base(BASE)
    assert (base.name, base.status, base.num_workers) == ("words", Status.ACTIVE, 2)
    assert base.component_executors == {"words": 1}
    assert (base.launch_time_secs, base.owner) == (1700000000, "storm")


def test_an_unknown_status_is_none() -> None:
    """A later Storm may have one."""
    assert (
        storm_nodes.storm_base(stored("StormBase", name="x", status=9)).status is None
    )


def test_an_assignment_is_read() -> None:
    """Executors, which Thrift writes as lists, are keys."""
    read = storm_nodes.assignment(assignment())
    assert read.hosts == {"sup-a": "alpha"}
    assert read.executors == {ExecutorInfo(1, 3): Slot("sup-a", 6700)}
    assert read.slots() == {Slot("sup-a", 6700): 1700000000}


def test_times_may_be_wide() -> None:
    """Releases differ in i32 and i64."""
    plain = b"\x0a\x00\x05" + struct.pack(">q", 1700000000) + b"\x00"
    assert storm_nodes.storm_base(plain).launch_time_secs == 1700000000


@given(st.binary(max_size=100))
def test_garbage_raises_the_documented_error(garbage: bytes) -> None:
    """Whatever a node holds, reading gives a value or that error."""
    for read in (
        storm_nodes.storm_base,
        storm_nodes.assignment,
        storm_nodes.supervisor,
        storm_nodes.last_error,
    ):
        with contextlib.suppress(ValueDecodeError):
            assert read(garbage) is not None


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("6a9f5032-296e-172.18.0.7-6700", Slot("6a9f5032-296e-172.18.0.7", 6700)),
        ("6700", None),
        ("sup-", None),
        ("sup-x", None),
        ("sup-²", None),
    ],
)
def test_the_name_of_a_worker_has_its_slot(name: str, slot: Slot | None) -> None:
    """The part after the last dash is the port."""
    assert slot_of(name) == slot


class DictState:
    """Nodes in a dict, with the contract of `ZooKeeperState`'s reads."""

    def __init__(self, data: dict[str, bytes]) -> None:
        self._data = data

    def get_children(self, path: str, watch: bool = False) -> list[str]:
        """Return the names below a node."""
        names = {
            key.removeprefix(path + "/").partition("/")[0]
            for key in self._data
            if key.startswith(path + "/")
        }
        if not names and path not in self._data:
            raise NodeMissingError("get_children", path, "there is no such node")
        return sorted(names)

    def get_data(self, path: str, watch: bool = False) -> bytes | None:
        """Return a node's data."""
        return self._data.get(path)


def test_all_nodes_are_read() -> None:
    """The leader is the oldest candidate; components are decoded from their paths."""
    state = DictState(
        {
            "/storms/words-1-1": BASE,
            "/storms/broken-2-2": b"nonsense",
            "/assignments/words-1-1": assignment(),
            "/supervisors/sup-a": SUPERVISOR,
            "/nimbuses/alpha": NIMBUS,
            "/leader-lock/_c_1-latch-0000000007": b"beta:6627",
            "/leader-lock/_c_9-latch-0000000003": b"alpha:6627",
            "/errors/words-1-1/my+bolt%2F1-last-error": ERROR,
            "/errors/words-1-1/my+bolt%2F1/e0000000001": ERROR,
            "/workerbeats/words-1-1": b"\x07",
            "/workerbeats/before-1-1/sup-a-6700": b"",
        }
    )
    read = read_nodes(state, 5.0)
    assert list(read.bases) == ["words-1-1"]
    assert list(read.assignments) == ["words-1-1"]
    assert read.supervisors["sup-a"].ports == (6700, 6701)
    assert [(n.host, n.is_leader) for n in read.nimbuses] == [("alpha", True)]
    error = read.errors["words-1-1", "my bolt/1"]
    assert (error.summary, error.time_secs) == ("java.lang.Error: x", 7)
    assert read.leftovers == ("before-1-1",), "Nimbus makes the other: it is empty"


@pytest.mark.parametrize(
    ("data", "is_leader"),
    [
        (b"alpha:6627", True),
        (b"alpha:6627:0", True),
        (b"alpha:66270", False),
        (b"alpha", False),
        (b"", False),
    ],
)
def test_the_leader_is_known_in_every_release(data: bytes, is_leader: bool) -> None:
    """Storm 2.8 appends the port for TLS."""
    nodes = {"/nimbuses/alpha": NIMBUS, "/leader-lock/_c_1-latch-0000000007": data}
    read = read_nodes(DictState(nodes), 5.0)
    assert [each.is_leader for each in read.nimbuses] == [is_leader]


def test_an_empty_zookeeper_has_nothing() -> None:
    """A cluster that has never had a topology has no such nodes."""
    read = read_nodes(DictState({}), 5.0)
    assert (read.bases, read.nimbuses, read.errors) == ({}, (), {})
