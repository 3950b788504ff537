"""Heartbeats that are compressed once, and get their tasks and their time when sent.

In Storm an executor runs in one worker, so each worker's heartbeats have tasks of their
own.  Compressing one takes 0.4 ms, too long for a generator that sends 5,000 a second,
and 15,000 workers' heartbeats made in advance would fill a gigabyte.  So a heartbeat is
cut at the bytes that differ between workers: the tasks of the executors at many places,
the time and the uptime at its end.  The pieces between them are compressed in advance,
each without reference to another.  The bytes that differ are put between them in blocks
that are stored uncompressed, which deflate allows anywhere.

CRC-32 is linear: other tasks change the checksums of all beats of a topology, whose
layout is the same, by the same bits.  So they are computed once for each worker.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pacemaker.heartbeats import codec
from pacemaker.heartbeats.compression import Compression
from pacemaker.heartbeats.model import ExecutorInfo, WorkerHeartbeat

# What `gzip` writes: deflate, no flags, no time, Unix.
_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
_TRAILER: Final = struct.Struct("<II")

# Storm's serializer: an ExecutorInfo, and time_secs and uptime_secs at the end.
_INFO: Final = struct.Struct(">3si3sib")
_TAIL: Final = struct.Struct(">3si3sib")

_STORED_HEAD: Final = struct.Struct("<BHH")


class _Cut(NamedTuple):
    """One beat, cut at the bytes that differ between workers.

    Attributes:
        pieces: the compressed pieces, and between them room for the executors' tasks.
        crc: the checksum of everything before the time, with the first worker's tasks.
        plain_bytes: its size before compression.
        size_bytes: its size.
    """

    pieces: list[bytes]
    crc: int
    plain_bytes: int
    size_bytes: int


class PreparedHeartbeats:
    """The beats that a topology's workers send in turn.

    Args:
        beats: the heartbeats, of the same executors and streams.
        epoch_s: when the generator's clock began, in seconds since 1970.
    """

    def __init__(self, beats: Sequence[WorkerHeartbeat], epoch_s: float) -> None:
        self._infos = [_info_bytes(info) for info in beats[0].executors]
        plains = [codec.encode(beat, Compression.NONE) for beat in beats]
        self._plain = plains[0][: -_TAIL.size]
        self.cuts = [_cut(plain, self._infos) for plain in plains]
        self.epoch_s = epoch_s
        self.started_secs = beats[0].time_secs - beats[0].uptime_secs

    @property
    def sizes_bytes(self) -> list[int]:
        """The size of each beat, which is the same for all workers."""
        return [cut.size_bytes for cut in self.cuts]

    def of_worker(self, infos: Iterable[ExecutorInfo], first: int) -> WorkerHeartbeats:
        """Return the beats of a worker.

        Args:
            infos: the tasks of its executors, as many as the pool's.
            first: the beat to begin with.
        """
        own = [_info_bytes(info) for info in infos]
        changes = zlib.crc32(self._with(own)) ^ zlib.crc32(self._plain)
        return WorkerHeartbeats(self, [_stored(each) for each in own], changes, first)

    def _with(self, infos: Sequence[bytes]) -> bytes:
        """Return the first beat up to its time, with other tasks."""
        parts = _split(self._plain, self._infos)
        parts[1::2] = infos
        return b"".join(parts)


class WorkerHeartbeats:
    """The beats of one worker; made by `PreparedHeartbeats.of_worker`."""

    __slots__ = ("_changes", "_first", "_infos", "_pool")

    def __init__(
        self, pool: PreparedHeartbeats, infos: Sequence[bytes], changes: int, first: int
    ) -> None:
        self._pool = pool
        self._infos = infos
        self._changes = changes
        self._first = first

    def at(self, number: int, scheduled_s: float) -> bytes:
        """Return a beat as Storm 2.x stores it, gzipped.

        Args:
            number: which beat; after the last, the counts start over.
            scheduled_s: when it is scheduled, by the generator's clock.
        """
        cuts = self._pool.cuts
        cut = cuts[(self._first + number) % len(cuts)]
        return self._with_time(cut, int(scheduled_s + self._pool.epoch_s))

    def __contains__(self, value: object) -> bool:
        """Return whether a value is a beat of this worker, of any time."""
        if not isinstance(value, bytes):
            return False
        tail = value[-_TRAILER.size - _TAIL.size : -_TRAILER.size]
        if len(tail) < _TAIL.size:
            return False
        time_secs = _TAIL.unpack(tail)[1]
        # Few beats have the same size, so few are put together here.
        return time_secs >= self._pool.started_secs and any(
            cut.size_bytes == len(value) and self._with_time(cut, time_secs) == value
            for cut in self._pool.cuts
        )

    def _with_time(self, cut: _Cut, time_secs: int) -> bytes:
        tail = _tail_bytes(time_secs, time_secs - self._pool.started_secs)
        crc = zlib.crc32(tail, cut.crc ^ self._changes)
        pieces = cut.pieces.copy()
        pieces[1::2] = self._infos
        return b"".join(
            (
                _HEADER,
                *pieces,
                _stored(tail, is_last=True),
                _TRAILER.pack(crc, cut.plain_bytes),
            )
        )


def _cut(plain: bytes, infos: Sequence[bytes]) -> _Cut:
    before = plain[: -_TAIL.size]
    pieces = _split(before, infos)
    pieces[::2] = map(_compressed, pieces[::2])
    stored = len(infos) * (_STORED_HEAD.size + _INFO.size)
    stored += _STORED_HEAD.size + _TAIL.size
    size_bytes = sum(map(len, pieces[::2])) + stored
    size_bytes += len(_HEADER) + _TRAILER.size
    return _Cut(pieces, zlib.crc32(before), len(plain), size_bytes)


def _split(data: bytes, infos: Sequence[bytes]) -> list[bytes]:
    """Split at the executors' tasks, which stay in the list."""
    parts: list[bytes] = []
    at = 0
    for info in infos:
        place = data.index(info, at)
        parts += (data[at:place], info)
        at = place + len(info)
    return [*parts, data[at:]]


def _compressed(data: bytes) -> bytes:
    """Compress a piece so that another block may follow."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def _stored(data: bytes, *, is_last: bool = False) -> bytes:
    """Return a block of deflate that is not compressed."""
    return _STORED_HEAD.pack(is_last, len(data), len(data) ^ 0xFFFF) + data


def _info_bytes(info: ExecutorInfo) -> bytes:
    return _INFO.pack(
        b"\x08\x00\x01", info.task_start, b"\x08\x00\x02", info.task_end, 0
    )


def _tail_bytes(time_secs: int, uptime_secs: int) -> bytes:
    return _TAIL.pack(b"\x08\x00\x03", time_secs, b"\x08\x00\x04", uptime_secs, 0)
