"""Read an executor's statistics fast if the layout of their bytes is known.

From one heartbeat to the next, only the numbers change.  A `Layout` remembers the
other bytes of one executor's statistics and the places of the numbers.  Executors of a
component share it.  One masked comparison and one ``struct`` then replace the checked
reader, which is many times slower.

A layout is found by a scan that follows Storm's serializer: fields in the order of
their ids, none missing, none unknown.  If the scan finds anything else there is no
layout, and the checked reader reads that heartbeat every time.  `beats` also compares
the numbers of a new layout with those of the checked reader, so an error in the scan
does no harm.
"""

from __future__ import annotations

import operator
import struct
from array import array
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from pacemaker.heartbeats.model import GlobalStreamId
from pacemaker.observe.decoding.executor_figures import (
    FIGURES_PER_EXECUTOR,
    Shape,
    Term,
    clamped,
    terms,
)

_Place: TypeAlias = tuple[int, str]

_HEADS: Final = {
    "emitted": b"\x0d\x00\x01",
    "transferred": b"\x0d\x00\x02",
    "specific": b"\x0c\x00\x03",
    "rate": b"\x04\x00\x04",
}
_BOLT: Final = b"\x0c\x00\x01"
_SPOUT: Final = b"\x0c\x00\x02"
_BOLT_FIELDS: Final = (
    ("acked", "q"),
    ("failed", "q"),
    ("process_ms_avg", "d"),
    ("executed", "q"),
    ("execute_ms_avg", "d"),
)
_SPOUT_FIELDS: Final = (("acked", "q"), ("failed", "q"), ("complete_ms_avg", "d"))
_WINDOWS_TYPES: Final = b"\x0b\x0d"
_NUMBER_TYPES: Final = {"q": b"\x0a", "d": b"\x04"}
_I32: Final = struct.Struct(">i")


class UnknownLayoutError(Exception):
    """The bytes are not laid out as Storm's serializer writes them."""


class Layout:
    """The layout of one executor's statistics.

    Args:
        data: statistics with this layout.
        places: where the numbers are, and their struct codes, in ascending order.
        shape: the executor's shape.
        plan: the terms of its figures; counts and averages are indices of numbers.

    Attributes:
        size: how many bytes the statistics have.
        shape: the executor's shape.
    """

    __slots__ = ("_fixed", "_mask", "_plan", "_unpack", "shape", "size")

    def __init__(
        self, data: bytes, places: list[_Place], shape: Shape, plan: list[Term]
    ) -> None:
        self.size = len(data)
        self.shape = shape
        mask = bytearray(b"\xff" * len(data))
        codes = [">"]
        end = 0
        for place, code in places:
            mask[place : place + 8] = bytes(8)
            codes.append(f"{place - end}x{code}")
            end = place + 8
        codes.append(f"{len(data) - end}x")
        self._mask = int.from_bytes(mask, "big")
        self._fixed = int.from_bytes(data, "big") & self._mask
        self._unpack = struct.Struct("".join(codes)).unpack
        self._plan = [_compiled(term) for term in plan if term.counts]

    @property
    def identity(self) -> tuple[int, int, int]:
        """What equal layouts have in common."""
        return self.size, self._mask, self._fixed

    def matches_at(self, data: bytes, start: int) -> bool:
        """Return whether the statistics that begin there have this layout."""
        part = data[start : start + self.size]
        return (
            len(part) == self.size
            and int.from_bytes(part, "big") & self._mask == self._fixed
        )

    def read_at(self, data: bytes, start: int) -> array[float] | None:
        """Return the figures in some statistics; None if their layout is another one.

        Args:
            data: a heartbeat.
            start: where the statistics begin in it.
        """
        if not self.matches_at(data, start):
            return None
        numbers = self._unpack(data[start : start + self.size])
        figures = array("d", bytes(8 * FIGURES_PER_EXECUTOR))
        for place, counts_of, averages_of in self._plan:
            if averages_of is None:
                figures[place] = sum(counts_of(numbers))
            else:
                figures[place] = sum(
                    map(operator.mul, counts_of(numbers), averages_of(numbers))
                )
        # A NaN makes the sum NaN.
        if min(numbers) < 0 or not sum(figures) < float("inf"):
            return self._clamped(numbers)
        return figures

    def _clamped(self, numbers: tuple[float, ...]) -> array[float]:
        figures = array("d", bytes(8 * FIGURES_PER_EXECUTOR))
        for place, counts_of, averages_of in self._plan:
            counts = map(clamped, counts_of(numbers))
            if averages_of is None:
                figures[place] = sum(counts)
            else:
                averages = map(clamped, averages_of(numbers))
                figures[place] = clamped(sum(map(operator.mul, counts, averages)))
        return figures


class Scanned(NamedTuple):
    """The result of a scan.

    Attributes:
        layout: the layout of the statistics.
        end: where they end.
    """

    layout: Layout
    end: int


def scan(data: bytes, start: int) -> Scanned:
    """Find the layout of the statistics that begin somewhere in a heartbeat.

    Raises:
        UnknownLayoutError: they are not laid out as Storm's serializer writes them.
    """
    scanner = _Scanner(data, start)
    try:
        layout = scanner.scan()
    except (struct.error, UnicodeDecodeError) as exc:
        raise UnknownLayoutError from exc
    return Scanned(layout, scanner.at)


class _Scanner:
    """A position in a heartbeat, and the numbers found so far."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._start = start
        self.at = start
        self._places: list[_Place] = []

    def scan(self) -> Layout:
        fields: dict[str, Any] = {}
        for name in ("emitted", "transferred"):
            self._expect(_HEADS[name])
            fields[name] = self._windows("q", self._text)
        self._expect(_HEADS["specific"])
        is_spout = self._data.startswith(_SPOUT, self.at)
        self._expect(_SPOUT if is_spout else _BOLT)
        key = self._text if is_spout else self._source
        for number, (name, code) in enumerate(
            _SPOUT_FIELDS if is_spout else _BOLT_FIELDS, 1
        ):
            self._expect(b"\x0d\x00" + bytes([number]))
            fields[name] = self._windows(code, key)
        self._expect(b"\x00\x00" + _HEADS["rate"])
        self._number("d")
        self._expect(b"\x00")
        plan = list(terms(is_spout, fields))
        data = self._data[self._start : self.at]
        return Layout(data, self._places, _shape(is_spout, fields), plan)

    def _windows(self, code: str, key: Callable[[], Any]) -> dict[str, dict[Any, int]]:
        self._expect(_WINDOWS_TYPES)
        windows: dict[str, dict[Any, int]] = {}
        for _ in range(self._count()):
            window = self._text()
            self._expect(b"\x0b" if key == self._text else b"\x0c")
            self._expect(_NUMBER_TYPES[code])
            windows[window] = {key(): self._number(code) for _ in range(self._count())}
        return windows

    def _count(self) -> int:
        (count,) = _I32.unpack_from(self._data, self.at)
        self.at += 4
        # An entry takes more than 8 bytes, so a wrong count ends the scan early.
        if not 0 <= count <= len(self._data) // 8:
            raise UnknownLayoutError
        return int(count)

    def _text(self) -> str:
        (size,) = _I32.unpack_from(self._data, self.at)
        end = self.at + 4 + size
        if size < 0 or end > len(self._data):
            raise UnknownLayoutError
        text = self._data[self.at + 4 : end].decode()
        self.at = end
        return text

    def _source(self) -> tuple[str, str]:
        self._expect(b"\x0b\x00\x01")
        component = self._text()
        self._expect(b"\x0b\x00\x02")
        stream = self._text()
        self._expect(b"\x00")
        return component, stream

    def _number(self, code: str) -> int:
        if self.at + 8 > len(self._data):
            raise UnknownLayoutError
        self._places.append((self.at - self._start, code))
        self.at += 8
        return len(self._places) - 1

    def _expect(self, expected: bytes) -> None:
        if not self._data.startswith(expected, self.at):
            raise UnknownLayoutError
        self.at += len(expected)


def _shape(is_spout: bool, fields: dict[str, Any]) -> Shape:
    def keys(*names: str) -> frozenset[Any]:
        return frozenset(
            key for name in names for window in fields[name].values() for key in window
        )

    streams = keys("emitted")
    if is_spout:
        return Shape(True, streams, frozenset())
    sources = keys("executed", "acked", "failed")
    return Shape(False, streams, frozenset(GlobalStreamId(*each) for each in sources))


def _compiled(term: Term) -> tuple[int, Callable[..., Any], Callable[..., Any] | None]:
    averages = None if term.averages is None else _getter(term.averages)
    return term.place, _getter(term.counts), averages


def _getter(indices: list[int]) -> Callable[..., Any]:
    """Return a function that picks these numbers, as a tuple even if it is one."""
    if len(indices) == 1:
        return operator.itemgetter(slice(indices[0], indices[0] + 1))
    return operator.itemgetter(*indices)
