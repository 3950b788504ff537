"""Attacks by frames of a response type, which are decoded and never answered."""

from __future__ import annotations

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, once, repeated

_FRAME = wire.message(wire.SEND_PULSE_RESPONSE)
_FRAMES = _FRAME * (128 * 1024 // len(_FRAME))

ATTACKS = (
    Attack(
        "responses",
        "frames of 12 bytes with a response type, 10 connections",
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
