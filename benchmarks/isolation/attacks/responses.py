"""Frames of a response type: no request, so nothing answers them."""

from __future__ import annotations

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, once, repeated

_FRAME = wire.message(wire.SEND_PULSE_RESPONSE)
_FRAMES = _FRAME * (128 * 1024 // len(_FRAME))

ATTACKS = (
    Attack(
        "responses",
        "12-byte frames of a response type, 10 connections",
        10,
        repeated(_FRAMES),
    ),
    Attack(
        "responses-burst",
        "128 KiB of the same, once over each of 60 connections",
        60,
        once(_FRAMES),
    ),
)
