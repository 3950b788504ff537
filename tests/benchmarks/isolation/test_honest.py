"""Tests of benchmarks.isolation.honest: no lie of a server goes unnoticed."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from benchmarks.isolation import wire
from benchmarks.isolation.children import honest_peers
from benchmarks.isolation.load import HonestLoad
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Pulse
from tests.benchmarks.isolation.lying_server import Lie, LyingServer, lying_server

pytestmark = pytest.mark.io

LIES = 20


def seen(lie: Lie) -> tuple[Counter[tuple[str, str]], int]:
    """Return how often which kind of request had which outcome, and the resets."""
    with lying_server(lie) as server:
        port = server.server_address[1]
        addresses = ["127.77.1.1", "127.77.1.2"]
        load = HonestLoad(
            "127.0.0.1", port, addresses, workers=5, period_s=0.05, patience_s=0.1
        )
        with honest_peers(load, os.sched_getaffinity(0)) as honest:
            server.begin_to_lie(LIES)
            records, resets = honest.end()
    return Counter((record[0], record[4]) for record in records), resets


def outcomes(counts: Counter[tuple[str, str]]) -> set[str]:
    """Return all outcomes but "ok"."""
    return {outcome for _, outcome in counts} - {"ok"}


def is_read(message: Message) -> bool:
    """Tell whether a message is a GET_PULSE."""
    return message.type == wire.GET_PULSE


def tell_old(server: LyingServer, message: Message, right: list[bytes]) -> list[bytes]:
    """Answer reads with the first pulse to their key."""
    if not is_read(message):
        return right
    assert isinstance(message.data, str)
    old = Pulse(message.data, server.first[message.data])
    return [messages.encode(Message(wire.GET_PULSE_RESPONSE, old, message.message_id))]


def tell_nothing(
    server: LyingServer, message: Message, right: list[bytes]
) -> list[bytes]:
    """Answer reads with misses."""
    if not is_read(message):
        return right
    assert isinstance(message.data, str)
    miss = Pulse(message.data, None)
    return [messages.encode(Message(wire.GET_PULSE_RESPONSE, miss, message.message_id))]


def change_a_byte(
    server: LyingServer, message: Message, right: list[bytes]
) -> list[bytes]:
    """Change the last byte of what is read."""
    if not is_read(message):
        return right
    # Two STOPs, the message id and a STOP are behind the value.
    changed = bytearray(right[0])
    changed[-11] ^= 1
    return [bytes(changed)]


def tell_twice(
    server: LyingServer, message: Message, right: list[bytes]
) -> list[bytes]:
    """Send each reply to a pulse twice."""
    return right * 2 if message.type == wire.SEND_PULSE else right


def reset(
    server: LyingServer, message: Message, right: list[bytes]
) -> list[bytes] | None:
    """Reset instead of answering a pulse."""
    return None if message.type == wire.SEND_PULSE else right


def keep_silent(
    server: LyingServer, message: Message, right: list[bytes]
) -> list[bytes]:
    """Answer no pulse of a worker that is there."""
    is_pulse = isinstance(message.data, Pulse) and "/worker-" in message.data.id
    return [] if message.type == wire.SEND_PULSE and is_pulse else right


@pytest.mark.parametrize(
    ("lie", "kind", "outcome"),
    [
        (tell_old, "read", "stale"),
        (tell_nothing, "read", "miss"),
        (change_a_byte, "read", "wrong"),
        (tell_twice, "nobody's", "wrong"),
        (keep_silent, "pulse", "unanswered"),
        (reset, "pulse", "reset"),
    ],
)
def test_each_lie_is_seen(lie: Lie, kind: str, outcome: str) -> None:
    """As what it is, and as nothing else."""
    counts, resets = seen(lie)
    # Not all: an old value is right while the new one is on its way.
    assert counts[kind, outcome] >= LIES // 2
    assert outcomes(counts) == {outcome}
    # It goes on lying until the end.
    assert resets >= LIES if lie is reset else resets == 0
