"""The bytes of a heartbeat to a `WorkerHeartbeat`, and back.

A worker of Storm 1.x or 2.x stores its heartbeat gzipped and with a time of 32
bits, one of Storm 3 with zstd and 64 bits; all of it is read here, and each can
be written.  What is stored can be anybody's bytes: they are read with the
checked reader, in time and memory that are bounded, and what is no heartbeat is
a `ValueDecodeError` and nothing else.  Java's own serialization, which old
configurations of Storm could choose, is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

from thriftpy2.protocol.cybin import TCyBinaryProtocol
from thriftpy2.thrift import TDecodeException
from thriftpy2.transport import TMemoryBuffer

from pacemaker import binary, idl
from pacemaker.errors import MalformedError, ValueDecodeError
from pacemaker.state.compression import Compression, compress, decompress
from pacemaker.state.heartbeat import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    GlobalStreamId,
    SpoutStats,
    WorkerHeartbeat,
)

K = TypeVar("K")
V = TypeVar("V")

# Fields and elements of one heartbeat: one of 50 executors with 20 streams each
# has 100,000 and takes a quarter of a second; this many take about one.
MAX_VALUES: Final = 500_000

_JAVA_MAGIC: Final = b"\xac\xed"
_IDL: Final = idl.load("heartbeat.thrift")
_UNIONS: Final = idl.unions(_IDL)


def decode(data: bytes) -> WorkerHeartbeat:
    """Read a heartbeat as it is stored.

    Args:
        data: gzipped, packed with zstd, or plain; its time in 32 or 64 bits.

    Raises:
        ValueDecodeError: the bytes are no heartbeat, or cannot be read here; it
            says why.
    """
    plain = _plain(data)
    struct = _read(plain, _IDL.ClusterWorkerHeartbeat)
    if struct.time_secs is None:
        struct = _read(plain, _IDL.ClusterWorkerHeartbeat64)
    return WorkerHeartbeat(
        topology_id=struct.storm_id,
        time_secs=struct.time_secs,
        uptime_secs=struct.uptime_secs,
        executors={
            ExecutorInfo(info.task_start, info.task_end): _stats_of(stats)
            for info, stats in struct.executor_stats
        },
    )


def time_secs_of(data: bytes) -> int | None:
    """Return when a stored heartbeat was made; None where that cannot be read.

    Cheaper than `decode`: nothing else of the heartbeat is looked at, so the
    rest may well be broken.
    """
    try:
        plain = _plain(data)
        struct = _read(plain, _IDL.HeartbeatTime)
        if struct.time_secs is None:
            struct = _read(plain, _IDL.HeartbeatTime64)
    except ValueDecodeError:
        return None
    time_secs: int | None = struct.time_secs
    return time_secs


def encode(
    heartbeat: WorkerHeartbeat,
    compression: Compression = Compression.GZIP,
    *,
    time_bits: Literal[32, 64] = 32,
) -> bytes:
    """Write a heartbeat as Storm stores it.

    Args:
        heartbeat: what to write.
        compression: GZIP as Storm 1.x and 2.x, ZSTD as Storm 3.
        time_bits: the width of its time: 32 for Storm 1.x and 2.x, 64 for Storm
            3; neither reads the other's.

    Raises:
        ValueError: a number is outside the range that its field has, or a text
            cannot be UTF-8.
        RuntimeError: zstd is asked for where there is none.
    """
    kind = _IDL.ClusterWorkerHeartbeat64
    if time_bits == 32:
        kind = _IDL.ClusterWorkerHeartbeat
    struct = kind(
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
        struct.write(TCyBinaryProtocol(transport))
    except TDecodeException as exc:
        # What thriftpy2 raises of anything that it cannot write.
        raise ValueError(f"no heartbeat of Storm's: {exc}") from exc
    return compress(transport.getvalue(), compression)


def _plain(data: bytes) -> bytes:
    plain = decompress(data)
    if plain.startswith(_JAVA_MAGIC):
        raise ValueDecodeError("a pickled Java object, which is never read")
    return plain


def _read(plain: bytes, kind: type) -> Any:
    try:
        return binary.read_struct(plain, kind, _UNIONS, MAX_VALUES)
    except MalformedError as exc:
        raise ValueDecodeError(f"no heartbeat: {exc.reason}", exc.detail) from exc


def _stats_of(struct: Any) -> ExecutorStats:
    return ExecutorStats(
        emitted=_windows_of(struct.emitted),
        transferred=_windows_of(struct.transferred),
        specific=_specific_of(struct.specific),
        rate=struct.rate,
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
        raise ValueDecodeError("no heartbeat: figures of neither a bolt nor a spout")
    spout = union.spout
    return SpoutStats(
        acked=_windows_of(spout.acked),
        failed=_windows_of(spout.failed),
        complete_ms_avg=_windows_of(spout.complete_ms_avg),
    )


def _source_of(struct: Any) -> GlobalStreamId:
    return GlobalStreamId(struct.componentId, struct.streamId)


def _windows_of(
    pairs: list[tuple[str, list[tuple[Any, Any]]]],
    key_of: Callable[[Any], Any] | None = None,
) -> dict[str, dict[Any, Any]]:
    """Turn the reader's pairs into dicts; a repeated key counts last, as in Java."""
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
