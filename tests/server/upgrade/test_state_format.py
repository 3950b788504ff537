"""The format of the state: exactly what was written can be read."""

from __future__ import annotations

import base64
import contextlib
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacemaker.core.protocol.protocol_snapshot import ProtocolSnapshot
from pacemaker.errors import StateError
from pacemaker.sasl.secret import Secret
from pacemaker.server.upgrade.state_format import (
    DIGEST_BYTES,
    FORMAT,
    HEAD_BYTES,
    KEY_BYTES,
    decode,
    encode,
    seal,
    security_digest,
)
from pacemaker.server.upgrade_state import ConnectionState, DaemonState, PeerAddress

fds = st.integers(4, 2**31 - 1)
times = st.floats(0, 1e9)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
addresses = st.builds(
    PeerAddress, st.ip_addresses().map(str), st.integers(0, 2**16 - 1)
)
snapshots = st.builds(
    ProtocolSnapshot,
    authenticated=st.booleans(),
    may_authenticate=st.booleans(),
    user=st.none() | texts,
    unread=st.binary(max_size=40),
    unsent=st.binary(max_size=40),
)
states = st.builds(
    DaemonState,
    parked_s=times,
    security_key=st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES),
    security_digest=st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES),
    is_own_listener=st.booleans(),
    hold_until_s=times,
    admin_fd=st.just(-1) | fds,
    upgrades=st.integers(0, 2**32 - 1),
    request_fd=st.just(-1) | fds,
    waiter_fds=st.lists(fds, max_size=3).map(tuple),
    connections=st.lists(
        st.builds(
            ConnectionState, fds, addresses, st.booleans(), times, times, snapshots
        ),
        max_size=4,
    ),
    history=st.binary(max_size=40),
    heartbeats=st.lists(st.tuples(texts, st.binary(max_size=40)), max_size=4),
)

SMALL = DaemonState(
    parked_s=1.5,
    security_key=b"k" * KEY_BYTES,
    security_digest=b"d" * DIGEST_BYTES,
    is_own_listener=True,
    hold_until_s=0.0,
    admin_fd=-1,
    upgrades=3,
    request_fd=5,
    waiter_fds=(6,),
    connections=[
        ConnectionState(
            *(7, PeerAddress("10.0.0.1", 5), True, 2.5, 3.5),
            ProtocolSnapshot(True, False, "nimbus", b"unread", b"unsent"),
        )
    ],
    history=b"history",
    heartbeats=[("/w/1", b"beat")],
)


# `SMALL` with a second connection, as versions up to 2026-11 wrote it.
OF_FORMAT_3 = base64.b64decode(
    "c3Rvcm1wbQoDAAAAEwEAAAAAAADlFSFhAAAAAAAA+D9ra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
    "a2tra2RkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkAQAAAAAAAAAA/////wMAAAAFAAAAAQAA"
    "AAIAAAAHAAAAAAAAAAAAAAAAAAAABgAAAAcAAAANAAAAAAAABEAAAAAAAAAMQAoAAAAGAAAABgAAAAYA"
    "AAAxMC4wLjAuMTo1bmltYnVzdW5yZWFkdW5zZW50CAAAAA0AAAAAAAAEQAAAAAAAAAxACwAAAAYAAAAG"
    "AAAABgAAAFtmZTgwOjoxXTo2bmltYnVzdW5yZWFkdW5zZW50aGlzdG9yeQQAAAAEAAAAL3cvMWJlYXQ="
)


def written(state: DaemonState) -> bytes:
    """Return a whole state as it is written."""
    body = b"".join(encode(state))
    return seal(len(body), zlib.crc32(body)) + body


@given(states)
def test_state_is_read_as_it_was_written(state: DaemonState) -> None:
    """Every field is restored, whatever its value."""
    assert decode(written(state)) == state


def test_state_of_format_3_is_read_and_written_as_ever() -> None:
    """Without a new number, a field of another meaning would reach another version.

    The trial's proof is computed from what is written, so that counts as well.
    """
    address = PeerAddress("fe80::1", 6)
    connection = SMALL.connections[0]
    second = connection._replace(fd=8, address=address)
    state = SMALL._replace(connections=[connection, second])
    assert decode(OF_FORMAT_3) == state
    assert written(state) == OF_FORMAT_3


def test_state_is_written_in_blocks_however_large_it_is() -> None:
    """Small heartbeats are written together in few blocks, large ones separately."""
    small = [(f"/w/{number}", b"x" * 100) for number in range(10_000)]
    large = [(f"/l/{number}", b"x" * 1_000_000) for number in range(3)]
    state = SMALL._replace(heartbeats=small + large)
    assert len(list(encode(state))) < 20
    assert decode(written(state)) == state


@pytest.mark.slow
@settings(max_examples=300)
@given(states, st.data())
def test_state_that_was_cut_short_is_refused(
    state: DaemonState, data: st.DataObject
) -> None:
    """A state cut at any byte is refused as a whole."""
    whole = written(state)
    at = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(StateError, match="truncated"):
        decode(whole[:at])


@pytest.mark.slow
@settings(max_examples=300)
@given(states, st.data())
def test_state_that_was_changed_is_refused(
    state: DaemonState, data: st.DataObject
) -> None:
    """A state with any one byte changed is refused as a whole."""
    whole = bytearray(written(state))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StateError):
        decode(bytes(whole))


def test_every_byte_of_a_small_state_counts() -> None:
    """The same exhaustively: each cut, each byte changed, and bytes added."""
    whole = written(SMALL)
    for at in range(len(whole)):
        with pytest.raises(StateError):
            decode(whole[:at])
        with pytest.raises(StateError):
            decode(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(StateError):
        decode(whole + b"\0")


def test_state_of_another_format_is_refused() -> None:
    """The format's number is checked before anything after it."""
    whole = bytearray(written(SMALL))
    whole[8] = FORMAT + 1
    with pytest.raises(StateError, match=f"unknown format: {FORMAT + 1}, this"):
        decode(bytes(whole))


@given(st.binary(max_size=200))
def test_body_without_meaning_is_refused(body: bytes) -> None:
    """A random body with a right checksum raises nothing but the documented error."""
    data = seal(len(body), zlib.crc32(body)) + body
    with contextlib.suppress(StateError):
        assert len(decode(data).heartbeats) <= len(body)  # type: ignore[arg-type]


@given(st.data())
def test_body_that_ends_amid_an_entry_is_refused(data: st.DataObject) -> None:
    """A truncated entry is an error, even if the checksum is right."""
    whole = written(SMALL)[HEAD_BYTES:]
    # Cut before the heartbeat, it is the state without it.
    at = data.draw(
        st.integers(0, len(whole) - 1).filter(lambda at: at != len(whole) - 16)
    )
    body = whole[:at]
    with pytest.raises(StateError):
        decode(seal(len(body), zlib.crc32(body)) + body)


def test_digest_tells_whether_the_same_may_read() -> None:
    """The digest changes with the secret and the key, and hides the secret."""
    digest = security_digest(b"k", Secret("DIGEST secret"))
    assert digest == security_digest(b"k", Secret("DIGEST secret"))
    assert digest != security_digest(b"k", Secret("DIGEST other"))
    assert digest != security_digest(b"K", Secret("DIGEST secret"))
    assert b"secret" not in digest
