"""Convert the stored bytes of a heartbeat to a `WorkerHeartbeat`, and back.

A worker of Storm 1.x or 2.x stores its heartbeat gzipped, with a 32-bit time.  A worker
of Storm 3 uses zstd and a 64-bit time.  Both formats can be read and written.  Anyone
can store bytes, so values are read with the checked reader, in bounded time and memory.
Anything that is not a heartbeat raises `ValueDecodeError` and nothing else.  Java's own
serialization, an option in old configurations of Storm, is never read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final, Literal, TypeVar

from thriftpy2.protocol.cybin import TCyBinaryProtocol
from thriftpy2.thrift import TDecodeException
from thriftpy2.transport import TMemoryBuffer

from pacemaker.errors import MalformedError, ValueDecodeError
from pacemaker.heartbeats.compression import Compression, compress, decompress
from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
    WorkerHeartbeat,
)
from pacemaker.wire import binary, idl

K = TypeVar("K")
V = TypeVar("V")

# The most fields and elements that one heartbeat may have.  A heartbeat with 50
# executors of 20 streams each has 100,000 of them, and takes a quarter of a second to
# read.  This many of the costliest kind, empty maps, take less than a second.
MAX_VALUES: Final = 250_000

# The same limit when only the time is read, from a value without Storm's own layout:
# this many take 20 ms.  A caller of the pool has a deadline, and compares one value per
# server.
MAX_VALUES_FOR_TIME: Final = 10_000

_JAVA_MAGIC: Final = b"\xac\xed"
_IDL: Final = idl.load("heartbeat.thrift")
_UNIONS: Final = idl.unions(_IDL)

# A heartbeat's fields in the order of Storm's serializer: the heads of storm_id and
# executor_stats, then time_secs (32 or 64 bits) and uptime_secs.
_TEXT_HEAD: Final = struct.Struct(">3si")
_ID_HEAD: Final = b"\x0b\x00\x01"
_STATS_HEAD: Final = b"\x0d\x00\x02\x0c\x0c"
_ENDS: Final = (
    (struct.Struct(">3si3s4xb"), b"\x08\x00\x03"),
    (struct.Struct(">3sq3s4xb"), b"\x0a\x00\x03"),
)
_UPTIME_HEAD: Final = b"\x08\x00\x04"

_TIME: Final = (binary.INTEGER, "time_secs", True)


class ClusterWorkerHeartbeat(SimpleNamespace):
    """A heartbeat to read into.  Its time may have either width."""

    thrift_spec: Final = {**_IDL.ClusterWorkerHeartbeat.thrift_spec, 3: _TIME}


class HeartbeatTime(SimpleNamespace):
    """A heartbeat to read only the time into; everything else is skipped."""

    thrift_spec: Final = {3: _TIME}


def decode(data: bytes) -> WorkerHeartbeat:
    """Decode a stored heartbeat.

    Args:
        data: the heartbeat, compressed with gzip or zstd or not at all, with a time of
            32 or 64 bits.

    Raises:
        ValueDecodeError: the bytes are not a heartbeat, or cannot be read here; the
            error says why.
    """
    read = _read(_plain(data), ClusterWorkerHeartbeat, MAX_VALUES)
    return WorkerHeartbeat(
        topology_id=read.storm_id,
        time_secs=read.time_secs,
        uptime_secs=read.uptime_secs,
        executors={
            ExecutorInfo(info.task_start, info.task_end): _stats_of(stats)
            for info, stats in read.executor_stats
        },
    )


def time_secs_of(data: bytes) -> int | None:
    """Return the time of a stored heartbeat; None if it cannot be read.

    This is far cheaper than `decode` for any value.  Storm writes the time into the
    last bytes.  In a value with another layout, only `MAX_VALUES_FOR_TIME` fields and
    elements are examined.  The rest of the heartbeat is not checked.
    """
    try:
        plain = _plain(data)
        time_secs = _time_at_end(plain)
        if time_secs is None:
            time_secs = _read(plain, HeartbeatTime, MAX_VALUES_FOR_TIME).time_secs
    except ValueDecodeError:
        return None
    return time_secs


def _time_at_end(plain: bytes) -> int | None:
    """Return the time of a heartbeat in Storm's own layout, else None."""
    if len(plain) < _TEXT_HEAD.size:
        return None
    head, id_bytes = _TEXT_HEAD.unpack_from(plain)
    if head != _ID_HEAD or id_bytes < 0:
        return None
    if not plain.startswith(_STATS_HEAD, _TEXT_HEAD.size + id_bytes):
        return None
    for layout, time_head in _ENDS:
        if len(plain) < layout.size:
            continue
        found, time_secs, next_head, stop = layout.unpack_from(
            plain, len(plain) - layout.size
        )
        if (found, next_head, stop) == (time_head, _UPTIME_HEAD, 0):
            return int(time_secs)
    return None


def encode(
    heartbeat: WorkerHeartbeat,
    compression: Compression = Compression.GZIP,
    *,
    time_bits: Literal[32, 64] = 32,
) -> bytes:
    """Encode a heartbeat as Storm stores it.

    Args:
        heartbeat: the heartbeat.
        compression: GZIP for Storm 1.x and 2.x, ZSTD for Storm 3.
        time_bits: the width of its time: 32 for Storm 1.x and 2.x, 64 for Storm 3.
            Neither can read the other's width.

    Raises:
        ValueError: a number is out of its field's range, or a text cannot be encoded
            as UTF-8.
        RuntimeError: zstd is requested but not installed.
    """
    kind = _IDL.ClusterWorkerHeartbeat64
    if time_bits == 32:
        kind = _IDL.ClusterWorkerHeartbeat
    heartbeat_struct = kind(
        storm_id=heartbeat.topology_id,
        executor_stats={
            _IDL.ExecutorInfo(*info): _stats_struct(stats)
            for info, stats in heartbeat.executors.items()
        },
        time_secs=heartbeat.time_secs,
        uptime_secs=heartbeat.uptime_secs,
    )
    transport = TMemoryBuffer()
    try:
        heartbeat_struct.write(TCyBinaryProtocol(transport))
    except TDecodeException as exc:
        # thriftpy2 raises this for anything that it cannot write.
        raise ValueError(f"not a valid heartbeat: {exc}") from exc
    return compress(transport.getvalue(), compression)


def _plain(data: bytes) -> bytes:
    plain = decompress(data)
    if plain.startswith(_JAVA_MAGIC):
        raise ValueDecodeError("a serialized Java object, which is never read")
    return plain


def _read(plain: bytes, kind: type, max_values: int) -> Any:
    try:
        return binary.read_struct(plain, kind, _UNIONS, max_values)
    except MalformedError as exc:
        raise ValueDecodeError(f"not a heartbeat: {exc.reason}", exc.detail) from exc


def _stats_of(stats: Any) -> ExecutorStats:
    return ExecutorStats(
        emitted=_windows_of(stats.emitted),
        transferred=_windows_of(stats.transferred),
        specific=_specific_of(stats.specific),
        rate=stats.rate,
    )


def _specific_of(union: Any) -> BoltStats | SpoutStats:
    if union.bolt is not None:
        bolt = union.bolt
        return BoltStats(
            acked=_windows_of(bolt.acked, _source_of),
            failed=_windows_of(bolt.failed, _source_of),
            process_ms_avg=_windows_of(bolt.process_ms_avg, _source_of),
            executed=_windows_of(bolt.executed, _source_of),
            execute_ms_avg=_windows_of(bolt.execute_ms_avg, _source_of),
        )
    if union.spout is None:
        raise ValueDecodeError(
            "not a heartbeat: statistics of neither a bolt nor a spout"
        )
    spout = union.spout
    return SpoutStats(
        acked=_windows_of(spout.acked),
        failed=_windows_of(spout.failed),
        complete_ms_avg=_windows_of(spout.complete_ms_avg),
    )


def _source_of(source: Any) -> GlobalStreamId:
    return GlobalStreamId(source.componentId, source.streamId)


def _windows_of(
    pairs: list[tuple[str, list[tuple[Any, Any]]]],
    key_of: Callable[[Any], Any] | None = None,
) -> dict[str, dict[Any, Any]]:
    """Convert the reader's pairs to dicts; the last of equal keys wins, as in Java."""
    if key_of is None:
        return {window: dict(figures) for window, figures in pairs}
    return {
        window: {key_of(key): value for key, value in figures}
        for window, figures in pairs
    }


def _stats_struct(stats: ExecutorStats) -> Any:
    specific = stats.specific
    if isinstance(specific, BoltStats):
        union = _IDL.ExecutorSpecificStats(bolt=_bolt_struct(specific))
    else:
        spout = _IDL.SpoutStats(
            acked=specific.acked,
            failed=specific.failed,
            complete_ms_avg=specific.complete_ms_avg,
        )
        union = _IDL.ExecutorSpecificStats(spout=spout)
    return _IDL.ExecutorStats(
        emitted=stats.emitted,
        transferred=stats.transferred,
        specific=union,
        rate=stats.rate,
    )


def _bolt_struct(bolt: BoltStats) -> Any:
    return _IDL.BoltStats(
        acked=_by_source(bolt.acked),
        failed=_by_source(bolt.failed),
        process_ms_avg=_by_source(bolt.process_ms_avg),
        executed=_by_source(bolt.executed),
        execute_ms_avg=_by_source(bolt.execute_ms_avg),
    )


def _by_source(
    windows: Mapping[str, Mapping[GlobalStreamId, V]],
) -> dict[str, dict[Any, V]]:
    return {
        window: {
            _IDL.GlobalStreamId(*source): value for source, value in counts.items()
        }
        for window, counts in windows.items()
    }
