"""Attacks by fields that are unknown, or that only responses have.

The daemon has to skip them, which takes time for each of their values.
"""

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
        "frames of 10 KB with 9,990 empty structs in an unknown field, 100 connections",
        100,
        repeated(_times(_EMPTY_STRUCTS, 128 * 1024)),
    ),
    Attack(
        "repeated-fields",
        "frames of 10 KB with one unknown field 2,500 times, 100 connections",
        100,
        repeated(_times(_REPEATED, 128 * 1024)),
    ),
    Attack(
        "nested-fields",
        "frames with 100 unknown structs nested 30 deep, 100 connections",
        100,
        repeated(_times(_NESTED, 128 * 1024)),
    ),
    Attack(
        "maps",
        "frames with an unknown map of 2,000 entries, 100 connections",
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
