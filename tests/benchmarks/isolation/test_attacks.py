"""Tests of benchmarks.isolation.attacks: each one sends what it describes."""

from __future__ import annotations

import pytest

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.attacks import ATTACKS, fields, responses
from pacemaker.wire import messages
from pacemaker.wire.frames import FrameReader
from tests import apache

MAX_BODY_BYTES = 10 * 2**20


def first_bytes(attack: Attack) -> bytes:
    """Return what the first connection sends first; b"" if it says nothing."""
    return next(attack.start()(0), b"")


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_sends_frames_that_are_read(name: str) -> None:
    """A length that were refused at once would be another attack."""
    frames = FrameReader(MAX_BODY_BYTES)
    frames.receive(first_bytes(ATTACKS[name]))
    frames.next()


@pytest.mark.parametrize("attack", fields.ATTACKS, ids=lambda attack: attack.name)
def test_odd_fields_are_well_formed(attack: Attack) -> None:
    """Apache's reader takes them all, and skips what it does not know."""
    frame = first_bytes(attack)
    size = int.from_bytes(frame[:4], "big")
    message = apache.read(frame[4 : 4 + size])
    assert message.type in (
        messages.GET_ALL_PULSE_FOR_PATH_RESPONSE,
        messages.GET_ALL_NODES_FOR_PATH_RESPONSE,
        messages.GET_PULSE,
    )


def test_responses_have_12_bytes() -> None:
    """As short as a message can be that is no request."""
    frame = first_bytes(responses.ATTACKS[0])[:12]
    assert messages.decode(frame[4:], 10) == messages.Message(
        messages.SEND_PULSE_RESPONSE, None, None
    )


def test_each_connection_has_keys_of_its_own() -> None:
    """Pulses of two connections do not rewrite each other's key."""
    talk = ATTACKS["pulses"].start()
    assert next(talk(0)) != next(talk(1))
