"""Our reader against Apache's, on odd and damaged messages, and on noise."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import example, given, settings

from pacemaker.errors import MalformedError
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.messages import Message
from tests import apache
from tests.golden import GOLDEN
from tests.odd_bodies import bodies, harm
from tests.wire import by_hand as wire

SEEDS = range(20)
FRAMES_PER_SEED = 500
SOURCES = [frame[4:] for _, frame in GOLDEN.values()] + [
    messages.encode(Message(7, messages.Records([messages.Pulse("/a", b"x")] * 3), 1))[
        4:
    ],
    messages.encode(Message(9, messages.Nodes(["t1", "é", ""]), 1))[4:],
    # Unknown fields of every sort around a path.
    wire.i32(1, 2)
    + wire.struct_field(9, wire.i32(1, 7), wire.struct_field(2, wire.boolean(1, True)))
    + struct.pack(">bhbbibi", 13, 8, 11, 15, 1, 0, 0)
    + wire.struct_field(2, wire.binary(1, "/a"))
    + struct.pack(">bhbibi", 15, 4, 14, 1, 8, 1)
    + b"1234"
    + wire.STOP,
]


def ours(body: bytes) -> Message | None:
    """Read a body with our reader; None if it is refused.

    By the bound of a client's: Apache's reader has none at all.
    """
    try:
        return messages.decode(body, 10_000)
    except MalformedError:
        return None


def apaches(body: bytes) -> Message | None:
    """Read a body with Apache's reader; None where it is refused."""
    try:
        return apache.read(body)
    except apache.RefusedError:
        return None


def assert_judged_alike(body: bytes) -> Message | None:
    """Check that both readers, and the short way, give one verdict and one value."""
    message = ours(body)
    assert apaches(body) == message, body.hex()
    assert fast_codec.decode(body, 0, len(body)) in (None, message), body.hex()
    return message


@pytest.mark.slow
@settings(max_examples=1000)
@given(bodies)
@example(b"")
@example(b"\0")
def test_odd_bodies_are_judged_as_apache_judges_them(body: bytes) -> None:
    """Whatever the bytes, both readers refuse them, or read the same message."""
    assert_judged_alike(body)


@pytest.mark.parametrize("seed", SEEDS)
def test_harmed_frames_are_judged_as_apache_judges_them(seed: int) -> None:
    """Messages with bytes changed, put in, taken out are the same to both readers."""
    random = Random(seed)  # noqa: S311  (no secret)
    verdicts = [
        assert_judged_alike(harm(random.choice(SOURCES), random)) is not None
        for _ in range(FRAMES_PER_SEED)
    ]
    assert 0.05 < sum(verdicts) / FRAMES_PER_SEED < 0.95, "the harm is not in balance"


@pytest.mark.parametrize("name", GOLDEN)
def test_apache_reads_storms_bytes(name: str) -> None:
    """The judge itself reads what Storm wrote as what it meant."""
    message, frame = GOLDEN[name]
    assert apache.read(frame[4:]) == message
