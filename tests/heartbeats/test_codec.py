"""Tests of pacemaker.heartbeats.codec."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import pickle
import tracemalloc
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import ValueDecodeError
from pacemaker.heartbeats.codec import (
    MAX_VALUES,
    MAX_VALUES_FOR_TIME,
    decode,
    encode,
    time_secs_of,
)
from pacemaker.heartbeats.compression import (
    DECOMPRESSED_MAX_BYTES,
    Compression,
    compress,
)
from pacemaker.heartbeats.model import ExecutorInfo, WorkerHeartbeat
from pacemaker.wire import binary, idl
from tests.heartbeats.strategies import (
    HEARTBEAT,
    heartbeats,
    large_heartbeat,
    wide_heartbeats,
)

EMPTY = WorkerHeartbeat("t", 5, 6, {})
# One written by Storm 2.8.3: `new ClusterWorkerHeartbeat("topology-1-1", {}, 7, 1)`.
STORM_PLAIN = bytes.fromhex(
    "0b00010000000c746f706f6c6f67792d312d310d00020c0c00000000080003000000070800"
    "040000000100"
)
BITS: tuple[Literal[32, 64], ...] = (32, 64)


def test_idl_numbers_the_fields_as_storm_does() -> None:
    """Each struct of the IDL has Storm's field ids."""
    module = idl.load("heartbeat.thrift")
    fields = {
        kind.__name__: {number: spec[1] for number, spec in kind.thrift_spec.items()}
        for kind in module.__thrift_meta__["structs"] + module.__thrift_meta__["unions"]
    }
    heartbeat = {1: "storm_id", 2: "executor_stats", 3: "time_secs", 4: "uptime_secs"}
    assert fields == {
        "GlobalStreamId": {1: "componentId", 2: "streamId"},
        "BoltStats": {
            1: "acked",
            2: "failed",
            3: "process_ms_avg",
            4: "executed",
            5: "execute_ms_avg",
        },
        "SpoutStats": {1: "acked", 2: "failed", 3: "complete_ms_avg"},
        "ExecutorSpecificStats": {1: "bolt", 2: "spout"},
        "ExecutorStats": {1: "emitted", 2: "transferred", 3: "specific", 4: "rate"},
        "ExecutorInfo": {1: "task_start", 2: "task_end"},
        "ClusterWorkerHeartbeat": heartbeat,
        "ClusterWorkerHeartbeat64": heartbeat,
    }


def test_bytes_are_those_of_storm() -> None:
    """A plain heartbeat is, byte for byte, what Storm's TSerializer makes."""
    heartbeat = WorkerHeartbeat("topology-1-1", 7, 1, {})
    assert encode(heartbeat, Compression.NONE) == STORM_PLAIN
    assert decode(STORM_PLAIN) == heartbeat


@pytest.mark.parametrize("time_bits", BITS)
@pytest.mark.parametrize("compression", Compression)
def test_heartbeat_comes_back(
    compression: Compression, time_bits: Literal[32, 64]
) -> None:
    """What is written is read, in every packing and with both widths of the time."""
    data = encode(HEARTBEAT, compression, time_bits=time_bits)
    assert decode(data) == HEARTBEAT
    assert time_secs_of(data) == HEARTBEAT.time_secs


@pytest.mark.slow
@given(heartbeats)
def test_any_heartbeat_comes_back(heartbeat: WorkerHeartbeat) -> None:
    """Any heartbeat of Storm 1.x and 2.x is read as it was written."""
    assert decode(encode(heartbeat)) == heartbeat


@pytest.mark.slow
@given(wide_heartbeats)
def test_any_wide_heartbeat_comes_back(heartbeat: WorkerHeartbeat) -> None:
    """Any heartbeat of Storm 3 is read as it was written, the time in full."""
    data = encode(heartbeat, Compression.ZSTD, time_bits=64)
    assert decode(data) == heartbeat
    assert time_secs_of(data) == heartbeat.time_secs


def test_default_is_what_storm_2_writes() -> None:
    """Without being told otherwise, a heartbeat is gzipped and its time has 32 bits."""
    assert gzip.decompress(encode(EMPTY)) == encode(EMPTY, Compression.NONE)


def test_large_heartbeat_is_read() -> None:
    """Fifty executors with twenty streams each are within the limits."""
    heartbeat = large_heartbeat(50, 20)
    assert decode(encode(heartbeat)) == heartbeat


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_secs": 2**31},
        {"uptime_secs": -(2**31) - 1},
        {"topology_id": "\ud800"},
        {
            "executors": {
                ExecutorInfo(2**31, 0): next(iter(HEARTBEAT.executors.values()))
            }
        },
    ],
    ids=["time", "uptime", "text", "task"],
)
def test_what_no_field_holds_is_a_value_error(wrong: dict[str, object]) -> None:
    """A number out of range, or a text that is none, is told before it is stored."""
    heartbeat = dataclasses.replace(HEARTBEAT, **wrong)  # type: ignore[arg-type]  # any
    with pytest.raises(ValueError, match="needs type"):
        encode(heartbeat)


JAVA_OBJECT = bytes.fromhex("aced0005737200") + b"java.util.HashMap"


NO_HEARTBEATS = {
    "empty": (b"", "message ends too early"),
    "stop": (b"\x00", "required field is missing"),
    "json": (b"{}", "message ends too early"),
    "plain cut short": (STORM_PLAIN[:-1], "message ends too early"),
    "length too long": (
        STORM_PLAIN.replace(b"\x0c\x74", b"\xff\x74"),
        "length does not fit in the message",
    ),
    "huge length": (
        b"\x0b\x00\x01\x7f\xff\xff\xff",
        "length does not fit in the message",
    ),
    "java object": (JAVA_OBJECT, "serialized Java object"),
    "java object in gzip": (gzip.compress(JAVA_OBJECT), "serialized Java object"),
    "pickle": (pickle.dumps({}), "unknown wire type"),
    "nothing in gzip": (gzip.compress(b""), "message ends too early"),
    "gzip of two bytes": (b"\x1f\x8b", "truncated"),
    "gzip of three bytes": (b"\x1f\x8b\x08", "truncated"),
    "gzip of unknown flags": (b"\x1f\x8b\xff" + bytes(20), "damaged gzip"),
    "gzip cut short": (encode(EMPTY)[:-1], "truncated"),
    "gzip with a wrong checksum": (encode(EMPTY)[:-8] + bytes(8), "damaged gzip"),
    "zstd of four bytes": (b"\x28\xb5\x2f\xfd", "truncated"),
    "zstd of damaged blocks": (b"\x28\xb5\x2f\xfd" + b"\xff" * 20, "damaged zstd"),
    "zstd cut short": (encode(EMPTY, Compression.ZSTD)[:-1], "truncated"),
}
"""Their names are ids of tests: the bytes contain the time at which they are packed."""


@pytest.mark.parametrize(("data", "reason"), NO_HEARTBEATS.values(), ids=NO_HEARTBEATS)
def test_what_is_no_heartbeat_is_refused(data: bytes, reason: str) -> None:
    """Bytes of another kind, broken or cut short are an error that says so."""
    with pytest.raises(ValueDecodeError, match=reason):
        decode(data)
    assert time_secs_of(data) is None


@given(st.binary(max_size=200))
def test_garbage_costs_an_exception(data: bytes) -> None:
    """Whatever the bytes, there is a heartbeat or the documented error."""
    for prefix in (b"", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"):
        with contextlib.suppress(ValueDecodeError):
            decode(prefix + data)
        time_secs_of(prefix + data)


@given(st.data())
def test_damage_costs_an_exception(data: st.DataObject) -> None:
    """A heartbeat with a few bytes changed is another one or the documented error."""
    plain = bytearray(encode(HEARTBEAT, Compression.NONE))
    for _ in range(data.draw(st.integers(1, 3))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(
            st.integers(0, 255)
        )
    for compression in Compression:
        with contextlib.suppress(ValueDecodeError):
            decode(compress(bytes(plain), compression))


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_bomb_costs_no_more_than_its_limit(compression: Compression) -> None:
    """A value that would fill the memory is refused at its limit."""
    bomb = compress(bytes(5 * DECOMPRESSED_MAX_BYTES), compression)
    tracemalloc.start()
    try:
        with pytest.raises(ValueDecodeError, match="too large when decompressed"):
            decode(bomb)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * DECOMPRESSED_MAX_BYTES


def test_value_at_the_limit_is_unpacked() -> None:
    """What becomes exactly as large as is allowed is looked at."""
    data = compress(bytes(DECOMPRESSED_MAX_BYTES), Compression.GZIP)
    with pytest.raises(ValueDecodeError, match="required field is missing"):
        decode(data)


class CountingReader(binary._Reader):
    """A reader that counts its steps: each moves past some bytes."""

    steps = 0

    def _pass(self, size_bytes: int) -> None:
        CountingReader.steps += 1
        super()._pass(size_bytes)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[CountingReader]:
    """Have all steps counted, from 0 on."""
    CountingReader.steps = 0
    monkeypatch.setattr(binary, "_Reader", CountingReader)
    return CountingReader


def crowd(element_type: int, element: bytes, count: int) -> bytes:
    """Return a small value that is a huge list: of a field that no heartbeat has."""
    head = b"\x0f\0\x09" + bytes([element_type]) + count.to_bytes(4, "big")
    return compress(head + element * count + b"\0", Compression.GZIP)


CROWDS = {
    "empty lists": crowd(0x0F, b"\x0f\0\0\0\0", 499_000),
    "empty maps": crowd(0x0D, b"\x08\x08\0\0\0\0", 499_000),
    "empty structs": crowd(0x0C, b"\0", 499_000),
    "structs": crowd(0x0C, b"\x02\0\1\1\0", 499_000),
    "strings": crowd(0x0B, b"\0\0\0\0", 499_000),
    "more than are allowed": crowd(0x0C, b"\0", DECOMPRESSED_MAX_BYTES // 2),
}


@pytest.mark.parametrize("name", CROWDS)
def test_many_values_cost_no_more_than_their_limit(
    name: str, counted: type[CountingReader]
) -> None:
    """A value of nothing but tiny elements is given up after a bounded work."""
    assert len(CROWDS[name]) < 20_000
    with pytest.raises(ValueDecodeError, match="too many fields or elements"):
        decode(CROWDS[name])
    assert counted.steps < 5 * MAX_VALUES


@pytest.mark.parametrize("name", CROWDS)
def test_time_costs_little_whatever_is_stored(
    name: str, counted: type[CountingReader]
) -> None:
    """What decides the newest is read once, with a bound that callers do not feel."""
    assert time_secs_of(CROWDS[name]) is None
    assert counted.steps < 5 * MAX_VALUES_FOR_TIME


@pytest.mark.parametrize("time_bits", BITS)
def test_heartbeat_is_read_once(
    time_bits: Literal[32, 64], counted: type[CountingReader]
) -> None:
    """Neither width of the time is tried before the other."""
    decode(encode(HEARTBEAT, time_bits=64))
    once = counted.steps
    counted.steps = 0
    decode(encode(HEARTBEAT, time_bits=time_bits))
    assert counted.steps == once


@pytest.mark.parametrize("time_bits", BITS)
def test_time_of_storms_own_needs_no_walk(
    time_bits: Literal[32, 64], counted: type[CountingReader]
) -> None:
    """Of a heartbeat as Storm writes it, however large, the ends are enough."""
    data = encode(large_heartbeat(50, 20), time_bits=time_bits)
    assert time_secs_of(data) == 1700000123
    assert counted.steps == 0


@pytest.mark.parametrize("time_bits", BITS)
def test_time_is_found_where_other_fields_follow(time_bits: Literal[32, 64]) -> None:
    """A heartbeat of another layout is walked through."""
    plain = encode(HEARTBEAT, Compression.NONE, time_bits=time_bits)
    assert time_secs_of(plain[:-1] + b"\x02\0\x09\1\0") == HEARTBEAT.time_secs
    assert time_secs_of(b"\x02\0\x09\1" + plain) == HEARTBEAT.time_secs
    assert time_secs_of(plain + b"behind") == HEARTBEAT.time_secs


def test_time_is_read_of_what_is_otherwise_strange() -> None:
    """The time alone decides which heartbeat is newest: nothing else is looked at."""
    assert time_secs_of(b"\x08\x00\x03\x00\x00\x00\x09\x00") == 9
    assert time_secs_of(b"\x0b\x00\x03\x00\x00\x00\x00\x00") is None
    assert time_secs_of(b"\x00") is None
