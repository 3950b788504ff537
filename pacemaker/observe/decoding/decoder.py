"""Decode the heartbeats of workers, with a fast path for layouts that are known.

The checked reader of `pacemaker.heartbeats.codec` is the authority: it reads every
heartbeat of an unknown layout, and a layout is used only if it gave the same figures.
"""

from __future__ import annotations

import struct
from array import array
from typing import Final, NamedTuple

from pacemaker.heartbeats import codec
from pacemaker.heartbeats.compression import decompress
from pacemaker.heartbeats.model import ExecutorInfo, WorkerHeartbeat
from pacemaker.observe.decoding.byte_layout import Layout, UnknownLayoutError, scan
from pacemaker.observe.decoding.executor_figures import Shape, figures_of, shape_of

# How many of a topology's layouts are tried on the first heartbeat of a new worker.
MAX_TRIED: Final = 200

# Beyond this number all layouts are forgotten: anyone can store heartbeats, each with a
# layout of its own.  A real cluster has a few for each component.
MAX_LAYOUTS: Final = 20_000
# Beyond this number of topologies it is forgotten which layouts are whose, and longer
# ids than this are not noted: a heartbeat may name any topology.  Storm's ids are part
# of a key.
MAX_TOPOLOGIES: Final = 1000
MAX_ID_BYTES: Final = 1024

_I32: Final = struct.Struct(">i")
_INFO: Final = struct.Struct(">3si3sib")
_INFO_HEADS: Final = (b"\x08\x00\x01", b"\x08\x00\x02", 0)
_STATS_HEAD: Final = b"\x0d\x00\x02\x0c\x0c"
_ID_HEAD: Final = b"\x0b\x00\x01"
_TAILS: Final = (
    (struct.Struct(">3si3sib"), b"\x08\x00\x03"),
    (struct.Struct(">3sq3sib"), b"\x0a\x00\x03"),
)
_UPTIME_HEAD: Final = b"\x08\x00\x04"


class DecodedHeartbeat(NamedTuple):
    """One heartbeat, with the figures of its executors.

    Attributes:
        topology_id: the topology that the heartbeat names.
        time_secs: its time, by the worker's clock.
        uptime_secs: how long the worker had been running.
        infos: the executors, as ranges of tasks, without Storm's own [-1,-1].
        shapes: the shape of each of them.
        figures: 32 numbers for each of them, in the same order.
    """

    topology_id: str
    time_secs: int
    uptime_secs: int
    infos: tuple[ExecutorInfo, ...]
    shapes: tuple[Shape, ...]
    figures: array[float]


class KnownHeartbeat(NamedTuple):
    """What is remembered of a worker's last heartbeat.

    Attributes:
        head: its bytes up to the first executor.
        topology_id: the topology named there.
        infos: the bytes of each executor's tasks, and the tasks.
        layouts: the layout of each executor.
        shown: the executors and their shapes, without Storm's own.
    """

    head: bytes
    topology_id: str
    infos: tuple[tuple[bytes, ExecutorInfo], ...]
    layouts: tuple[Layout, ...]
    shown: tuple[tuple[ExecutorInfo, ...], tuple[Shape, ...]]


class HeartbeatDecoder:
    """Decodes heartbeats, and remembers their layouts.

    Attributes:
        fast: how many heartbeats were read by the fast path.
        slow: how many were read by the checked reader.
    """

    def __init__(self) -> None:
        self._layouts: dict[tuple[int, int, int], Layout] = {}
        # Those of each topology, by the bytes of the topology's id.
        self._tried: dict[bytes, dict[Layout, None]] = {}
        self.fast = 0
        self.slow = 0

    def decode(
        self, details: bytes, known: KnownHeartbeat | None
    ) -> tuple[DecodedHeartbeat, KnownHeartbeat | None]:
        """Decode a stored heartbeat.

        Args:
            details: the heartbeat.
            known: what the last call for this worker returned; None at first.

        Returns:
            The heartbeat, and what to pass with the worker's next one.

        Raises:
            ValueDecodeError: it is not a heartbeat.
        """
        plain = decompress(details)
        for way in (known, self._composed(plain) if known is None else None):
            beat = None if way is None else _read_fast(plain, way)
            if beat is not None:
                self.fast += 1
                return beat, way
        self.slow += 1
        heartbeat = codec.decode(plain)
        beat = _beat_of(heartbeat)
        return beat, self._learn(plain, heartbeat, beat)

    def _composed(self, plain: bytes) -> KnownHeartbeat | None:
        """Find a heartbeat's layouts among those of the topology's other workers.

        Those layouts were compared with the checked reader.  Their fixed bytes
        determine how a reader continues, so equal ones have the same meaning here.
        """
        try:
            id_bytes, count, at = _read_head(plain)
            topology_id = id_bytes.decode()
            candidates = self._tried.get(id_bytes, {})
            infos: list[tuple[bytes, ExecutorInfo]] = []
            layouts: list[Layout] = []
            head = plain[:at]
            for _ in range(count):
                infos.append(_read_info(plain, at))
                at += _INFO.size
                layout = next(x for x in candidates if x.matches_at(plain, at))
                layouts.append(layout)
                at += layout.size
        except (UnknownLayoutError, UnicodeDecodeError, struct.error, StopIteration):
            return None
        if len({info for _, info in infos}) < count:
            return None  # if an executor occurs twice, the last one counts
        return KnownHeartbeat(
            head, topology_id, tuple(infos), tuple(layouts), _shown(infos, layouts)
        )

    def _learn(
        self, plain: bytes, heartbeat: WorkerHeartbeat, beat: DecodedHeartbeat
    ) -> KnownHeartbeat | None:
        """Find the layouts of a heartbeat; None unless they give the same figures."""
        try:
            known = self._scan(plain, heartbeat.topology_id)
        except (UnknownLayoutError, struct.error):
            return None
        if _read_fast(plain, known) != beat:
            return None
        id_bytes = _read_head(plain)[0]
        if known.layouts and len(id_bytes) <= MAX_ID_BYTES:
            if len(self._tried) >= MAX_TOPOLOGIES:
                self._tried.clear()
            tried = self._tried.setdefault(id_bytes, {})
            if len(tried) < MAX_TRIED:
                tried.update(dict.fromkeys(known.layouts))
        return known

    def _scan(self, plain: bytes, topology_id: str) -> KnownHeartbeat:
        _, count, at = _read_head(plain)
        head = plain[:at]
        infos: list[tuple[bytes, ExecutorInfo]] = []
        layouts: list[Layout] = []
        for _ in range(count):
            infos.append(_read_info(plain, at))
            layout, at = scan(plain, at + _INFO.size)
            layouts.append(self._shared(layout))
        return KnownHeartbeat(
            head, topology_id, tuple(infos), tuple(layouts), _shown(infos, layouts)
        )

    def _shared(self, layout: Layout) -> Layout:
        """Return the first of the layouts that are equal to this one."""
        if len(self._layouts) >= MAX_LAYOUTS:
            self._layouts.clear()
            self._tried.clear()
        return self._layouts.setdefault(layout.identity, layout)


def _read_head(plain: bytes) -> tuple[bytes, int, int]:
    """Return the topology's id, the number of executors, and where the first begins."""
    if not plain.startswith(_ID_HEAD):
        raise UnknownLayoutError
    (size,) = _I32.unpack_from(plain, len(_ID_HEAD))
    id_at = len(_ID_HEAD) + _I32.size
    stats_at = id_at + size
    if size < 0 or not plain.startswith(_STATS_HEAD, stats_at):
        raise UnknownLayoutError
    (count,) = _I32.unpack_from(plain, stats_at + len(_STATS_HEAD))
    # An executor takes more bytes than this, so a wrong count is refused early.
    if not 0 <= count <= len(plain) // _INFO.size:
        raise UnknownLayoutError
    return plain[id_at:stats_at], count, stats_at + len(_STATS_HEAD) + _I32.size


def _read_info(plain: bytes, at: int) -> tuple[bytes, ExecutorInfo]:
    first_head, first, last_head, last, stop = _INFO.unpack_from(plain, at)
    if (first_head, last_head, stop) != _INFO_HEADS:
        raise UnknownLayoutError
    return plain[at : at + _INFO.size], ExecutorInfo(first, last)


def _shown(
    infos: list[tuple[bytes, ExecutorInfo]], layouts: list[Layout]
) -> tuple[tuple[ExecutorInfo, ...], tuple[Shape, ...]]:
    shown = [
        (info, layout.shape)
        for (_, info), layout in zip(infos, layouts, strict=True)
        if info.task_start >= 0
    ]
    return tuple(info for info, _ in shown), tuple(shape for _, shape in shown)


def _read_fast(plain: bytes, known: KnownHeartbeat) -> DecodedHeartbeat | None:
    if not plain.startswith(known.head):
        return None
    at = len(known.head)
    figures = array("d")
    for (info_bytes, info), layout in zip(known.infos, known.layouts, strict=True):
        if not plain.startswith(info_bytes, at):
            return None
        at += len(info_bytes)
        part = layout.read_at(plain, at)
        if part is None:
            return None
        at += layout.size
        if info.task_start >= 0:
            figures.extend(part)
    for tail, time_head in _TAILS:
        if len(plain) - at == tail.size:
            head, time_secs, next_head, uptime_secs, stop = tail.unpack_from(plain, at)
            if (head, next_head, stop) == (time_head, _UPTIME_HEAD, 0):
                infos, shapes = known.shown
                return DecodedHeartbeat(
                    known.topology_id, time_secs, uptime_secs, infos, shapes, figures
                )
    return None


def _beat_of(heartbeat: WorkerHeartbeat) -> DecodedHeartbeat:
    shown = {i: s for i, s in heartbeat.executors.items() if i.task_start >= 0}
    figures = array("d")
    for stats in shown.values():
        figures.extend(figures_of(stats))
    return DecodedHeartbeat(
        heartbeat.topology_id,
        heartbeat.time_secs,
        heartbeat.uptime_secs,
        tuple(shown),
        tuple(map(shape_of, shown.values())),
        figures,
    )
