"""Attacks by connections: silent, short-lived, or with unfinished frames."""

from __future__ import annotations

import struct

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, Talk, once

_PULSE = wire.pulse(b"/workerbeats/hostile-1-1700000000/churn", b"x" * 100, 1)
_GARBAGE = wire.framed(b"\xde\xad\xbe\xef" * 25)
_UNFINISHED = struct.pack(">i", 500_000) + wire.pulse(b"/a", b"x" * 440_000, 1)[4:]


def _say_nothing(number: int) -> Talk:
    return
    yield b""


def _churn(number: int) -> Talk:
    yield _PULSE
    yield b""


def _speak_garbage(number: int) -> Talk:
    yield _GARBAGE
    # Wait for the end: the daemon closes a connection that sends garbage.
    yield b""


def _trickle(number: int) -> Talk:
    pulse = wire.pulse(b"/workerbeats/hostile-1-1700000000/trickle", b"x" * 100, 1)
    while True:
        for byte in pulse:
            yield bytes((byte,))


def _halves(number: int) -> Talk:
    pulse = wire.pulse(
        b"/workerbeats/hostile-1-1700000000/%08x-6700" % number, b"x" * 2048, 1
    )
    half = len(pulse) // 2
    yield pulse[:half]
    # Wait, so that the daemon is paused with half of a pulse.
    yield b""
    yield pulse[half:]
    yield b""


def _drip(number: int) -> Talk:
    yield struct.pack(">i", 1_000_000) + b"\x08" * 8000
    while True:
        yield b"\x08"


ATTACKS = (
    Attack(
        "silent",
        "1,500 silent connections to a daemon with 600 descriptors to spare",
        1500,
        lambda: _say_nothing,
        spare_descriptors=600,
        goes_with_all=False,
    ),
    Attack(
        "churn",
        "connect, send one pulse, reset; 200 at a time, without a pause",
        200,
        lambda: _churn,
        churns=True,
    ),
    Attack(
        "garbage",
        "connect, send 100 bytes of garbage, wait for the end; 200 at a time",
        200,
        lambda: _speak_garbage,
    ),
    Attack(
        "lingerers",
        "100 bytes of garbage over 5,000 connections that never close their end",
        5000,
        once(_GARBAGE),
        takes_replies=False,
    ),
    Attack(
        "trickle",
        "pulses sent byte by byte over 500 connections",
        500,
        lambda: _trickle,
    ),
    Attack(
        "unfinished",
        "150 unfinished frames of 440 KB, beside an honest relay's pulses of 1.3 MB",
        150,
        once(_UNFINISHED),
        has_relay=True,
    ),
    Attack(
        "holders",
        "12,000 connections: 8 KB of a frame of 1 MB, the rest byte by byte",
        12_000,
        lambda: _drip,
    ),
    Attack(
        "standstill",
        "3,000 unfinished pulses while the daemon is paused (SIGSTOP) for 65 s",
        3000,
        lambda: _halves,
        # Longer than a frame may take.
        pause_s=65.0,
        goes_with_all=False,
    ),
)
