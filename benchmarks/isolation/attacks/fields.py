"""Fields that no message has, and fields that no request has."""

from __future__ import annotations

import struct

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, repeated

_PATH = wire.field(wire.I32, 1, struct.pack(">i", wire.GET_PULSE)) + wire.field(
    wire.STRUCT, 2, wire.field(wire.BINARY, 1, wire.binary(b"/a")) + wire.STOP
)


def _with(fields: bytes) -> bytes:
    return wire.framed(_PATH + fields + wire.STOP)


def _times(frame: bytes, least_bytes: int) -> bytes:
    return frame * -(-least_bytes // len(frame))


_EMPTY_STRUCTS = _with(wire.list_field(99, wire.STRUCT, 9990, wire.STOP * 9990))
_REPEATED = _with(wire.field(wire.I8, 99, b"\x07") * 2500)
_PULSE = wire.field(wire.BINARY, 1, wire.binary(b"/a")) + wire.STOP
_RECORDS = wire.message(
    wire.ALL_PULSES_RESPONSE,
    wire.field(
        wire.STRUCT,
        4,
        wire.list_field(1, wire.STRUCT, 1000, _PULSE * 1000) + wire.STOP,
    ),
    1,
)
_NODES = wire.message(
    wire.LIST_NODES_RESPONSE,
    wire.field(
        wire.STRUCT,
        5,
        wire.list_field(1, wire.BINARY, 2500, wire.binary(b"") * 2500) + wire.STOP,
    ),
    1,
)
_DEPTH = 30
_NESTED = _with((wire.field(wire.STRUCT, 99, b"") * _DEPTH + wire.STOP * _DEPTH) * 100)
_MAP = _with(
    wire.field(
        wire.MAP,
        99,
        struct.pack(">bbi", wire.BINARY, wire.STRUCT, 2000)
        + (wire.binary(b"") + wire.STOP) * 2000,
    )
)

ATTACKS = (
    Attack(
        "empty-structs",
        "10 KB frames with 9,990 empty structs in an unknown field, 100 connections",
        100,
        repeated(_times(_EMPTY_STRUCTS, 128 * 1024)),
    ),
    Attack(
        "repeated-fields",
        "10 KB frames of an unknown field, 2,500 times, 100 connections",
        100,
        repeated(_times(_REPEATED, 128 * 1024)),
    ),
    Attack(
        "nested-fields",
        "unknown structs 30 deep, 100 of them in a frame, 100 connections",
        100,
        repeated(_times(_NESTED, 128 * 1024)),
    ),
    Attack(
        "maps",
        "unknown maps of 2,000 entries, 100 connections",
        100,
        repeated(_times(_MAP, 128 * 1024)),
    ),
    Attack(
        "records",
        "responses of 1,000 records, 100 connections",
        100,
        repeated(_times(_RECORDS, 128 * 1024)),
    ),
    Attack(
        "nodes",
        "responses of 2,500 names, 100 connections",
        100,
        repeated(_times(_NODES, 128 * 1024)),
    ),
)
