"""The history as bytes, which an upgrade in place carries over.

The old process writes these bytes (`pack`) and the new one reads them (`unpack`).  The
new process may run another release, so a change of the layout needs a new version of
the state's format (`pacemaker.server.upgrade.state_format`).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from pacemaker.core.history.record import (
    NO_PEER,
    ConnectionEnd,
    KeyRecord,
    PathDelete,
    PeerRecord,
)

# When the history began, the last read, and how many gaps, deletes and records follow.
_HEAD: Final = struct.Struct("<ddIII")
_READ_GAP: Final = struct.Struct("<dd")
_TIME: Final = struct.Struct("<d")
_LENGTH: Final = struct.Struct("<I")
# The first and the last pulse, the longest gap, the interval, the last read, when the
# peer_record ended and how, whether the last read saw the same as the one before.
_RECORD: Final = struct.Struct("<ddddddB?")


class Contents(NamedTuple):
    """All that a `History` knows; its attributes have the same names."""

    began_s: float
    read_s: float
    reader: PeerRecord
    read_gaps: Collection[tuple[float, float]]
    deletes: Collection[PathDelete]
    records: Mapping[str, KeyRecord]


def pack(contents: Contents) -> Iterator[bytes]:
    """Yield a history as bytes, for `unpack`."""
    began_s, read_s, reader, read_gaps, deletes, records = contents
    counts = len(read_gaps), len(deletes), len(records)
    yield _HEAD.pack(began_s, read_s, *counts) + _text(reader.peer)
    for gap in read_gaps:
        yield _READ_GAP.pack(*gap)
    for at_s, path, peer in deletes:
        yield _TIME.pack(at_s) + _text(path) + _text(peer)
    for key, record in records.items():
        yield _pack_record(key, record)


def unpack(data: bytes) -> Contents:
    """Read what `pack` has written.

    Raises:
        ValueError: the data are not from `pack`; the error says at which byte.
    """
    reader = _Reader(data)
    try:
        return _unpack(reader)
    except (struct.error, UnicodeDecodeError, IndexError) as exc:
        raise ValueError(
            f"the history cannot be read: byte {reader.at} of {len(data)}: {exc}"
        ) from exc


def _unpack(reader: _Reader) -> Contents:
    began_s, read_s, *counts = reader.fields(_HEAD)
    gaps, deletes, records = map(int, counts)
    last_reader = PeerRecord(reader.text())
    read_gaps = []
    for _ in range(gaps):
        from_s, to_s = reader.fields(_READ_GAP)
        read_gaps.append((from_s, to_s))
    deleted = []
    for _ in range(deletes):
        (at_s,) = reader.fields(_TIME)
        deleted.append(PathDelete(at_s, reader.text(), reader.text()))
    # Keys that one connection has written share its peer_record, as before.
    peer_records: dict[tuple[str, int, float], PeerRecord] = {}
    by_key = dict(_unpack_record(reader, peer_records) for _ in range(records))
    return Contents(began_s, read_s, last_reader, read_gaps, deleted, by_key)


def _text(text: str) -> bytes:
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


def _pack_record(key: str, record: KeyRecord) -> bytes:
    events = bytes(record.events or b"")
    peer_record = record.writer
    fixed = _RECORD.pack(
        record.first_s,
        record.last_s,
        record.longest_gap_s,
        record.interval_s,
        record.read_s,
        peer_record.ended_s,
        peer_record.end,
        record.is_unchanged,
    )
    texts = (_text(key), _text(peer_record.peer), _text(record.reader.peer))
    return b"".join((fixed, *texts, _LENGTH.pack(len(events)), events))


class _Reader:
    """Reads packed data from front to back.

    Attributes:
        at: the offset of the next byte.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def fields(self, shape: struct.Struct) -> tuple[float, ...]:
        values = shape.unpack_from(self._data, self.at)
        self.at += shape.size
        return values

    def bytes(self) -> bytes:
        (size,) = _LENGTH.unpack_from(self._data, self.at)
        self.at += _LENGTH.size + size
        if self.at > len(self._data):
            raise IndexError("the data are truncated")
        return self._data[self.at - size : self.at]

    def text(self) -> str:
        return self.bytes().decode()


def _unpack_record(
    reader: _Reader, peer_records: dict[tuple[str, int, float], PeerRecord]
) -> tuple[str, KeyRecord]:
    first_s, last_s, longest_gap_s, interval_s, read_s, *source_is = reader.fields(
        _RECORD
    )
    ended_s, end, is_unchanged = source_is
    key, peer, reader_peer = reader.text(), reader.text(), reader.text()
    peer_record = peer_records.setdefault((peer, int(end), ended_s), PeerRecord(peer))
    peer_record.end, peer_record.ended_s = ConnectionEnd(int(end)), ended_s
    record = KeyRecord(last_s, peer_record)
    record.first_s, record.longest_gap_s, record.read_s = first_s, longest_gap_s, read_s
    record.interval_s, record.is_unchanged = interval_s, bool(is_unchanged)
    record.set_quiet_gap()
    record.reader = PeerRecord(reader_peer) if reader_peer else NO_PEER
    events = reader.bytes()
    record.events = bytearray(events) if events else None
    return key, record
