"""The encoding of the state that a daemon hands to the process after an upgrade.

    head    magic, format, length of the body, CRC-32 of the body
    body    the common part; each connection; the history; the extra part; each
            heartbeat, to the end

Numbers are little-endian.  A text is UTF-8, preceded by its length.  Times are in
seconds of CLOCK_BOOTTIME, except in the history and the extra part.  No part of a state
is ever executed, and nothing in it is trusted before length and checksum are verified:
a state that was truncated, or changed in any byte, is refused as a whole.

If you change what is written, change `FORMAT`.  Before a daemon hands anything over, it
asks the new version whether it can read the old one's format.

This module does no I/O.
"""

from __future__ import annotations

import hmac
import mmap
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from pacemaker.core.protocol.protocol_snapshot import ProtocolSnapshot
from pacemaker.errors import StateError
from pacemaker.sasl.secret import Secret
from pacemaker.server.upgrade_state import (
    ConnectionState,
    DaemonState,
    PeerAddress,
)
from pacemaker.texts import counted, split_host_and_port

FORMAT: Final = 3
READABLE_FORMATS: Final = frozenset((FORMAT,))

_MAGIC: Final = b"stormpm\n"
_HEAD: Final = struct.Struct("<8sIQI")
HEAD_BYTES: Final = _HEAD.size

DIGEST_NAME: Final = "sha256"
DIGEST_BYTES: Final = 32
KEY_BYTES: Final = 32

# The time of parking, the key and the digest of the security settings, whether the
# daemon opened its listener itself, until when misses are held, the listener of the
# admin endpoint, the number of upgrades so far, the descriptor that accepts waiters,
# the number of waiters, the number of connections, the length of the history and
# that of the extra part.
_COMMON: Final = struct.Struct(f"<d{KEY_BYTES}s{DIGEST_BYTES}s?diIiIIQQ")
_WAITER: Final = struct.Struct("<i")
# The descriptor, the flags, two times, and the lengths of the peer's address (as
# HOST:PORT), user, unread, unsent.
_CONNECTION: Final = struct.Struct("<iBddIIII")
_AUTHENTICATED, _MAY_AUTHENTICATE, _HAS_USER, _GREETED = 1, 2, 4, 8
# The lengths of the key and the value.
_HEARTBEAT: Final = struct.Struct("<II")

# Small pieces are joined into blocks of about this size before they are written.
_BLOCK_BYTES: Final = 256 * 1024

Data: TypeAlias = "bytes | mmap.mmap"


def security_digest(key: bytes, identity: Secret) -> bytes:
    """Return a digest that is equal if two daemons let the same clients read.

    So the settings are compared without being stored in the state.

    Args:
        key: the state's own key.
        identity: the settings that decide who may read; see `ServerSasl`.
    """
    return hmac.digest(key, identity.reveal().encode(), DIGEST_NAME)


def seal(body_bytes: int, checksum: int) -> bytes:
    """Return the head of a state, given the length and the CRC-32 of its body."""
    return _HEAD.pack(_MAGIC, FORMAT, body_bytes, checksum)


def encode(state: DaemonState) -> Iterator[bytes]:
    """Yield the body of a state in blocks, without ever holding all of it."""
    block: list[bytes] = []
    size_bytes = 0
    for piece in _pieces(state):
        block.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _BLOCK_BYTES:
            yield b"".join(block)
            block.clear()
            size_bytes = 0
    yield b"".join(block)


def decode(data: Data) -> DaemonState:
    """Decode a whole state; its values are copies of the data.

    Raises:
        StateError: this is no state, or it has another format, or it was truncated or
            changed.
    """
    _check_integrity(data)
    reader = _Reader(data)
    try:
        return _read_state(reader)
    except (struct.error, ValueError, MemoryError) as exc:
        raise StateError("the state cannot be decoded", str(exc)) from exc


def _check_integrity(data: Data) -> None:
    if len(data) < HEAD_BYTES:
        raise StateError("the state is truncated", counted(len(data), "byte"))
    magic, format_, body_bytes, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise StateError("this is not a daemon's state")
    if format_ not in READABLE_FORMATS:
        readable = ", ".join(map(str, sorted(READABLE_FORMATS)))
        raise StateError(
            "the state has an unknown format",
            f"{format_}, this version reads {readable}",
        )
    if body_bytes != len(data) - HEAD_BYTES:
        detail = f"{len(data) - HEAD_BYTES} of {counted(body_bytes, 'byte')}"
        raise StateError("the state is truncated", detail)
    with memoryview(data) as view, view[HEAD_BYTES:] as body:
        if zlib.crc32(body) != checksum:
            raise StateError("the state's checksum is wrong")


def _pieces(state: DaemonState) -> Iterator[bytes]:
    yield _COMMON.pack(
        state.parked_s,
        state.security_key,
        state.security_digest,
        state.is_own_listener,
        state.hold_until_s,
        state.admin_fd,
        state.upgrades,
        state.request_fd,
        len(state.waiter_fds),
        len(state.connections),
        len(state.history),
        len(state.extra),
    )
    for fd in state.waiter_fds:
        yield _WAITER.pack(fd)
    yield from map(_connection_piece, state.connections)
    yield state.history
    yield state.extra
    for key, value in state.heartbeats:
        name = key.encode()
        yield _HEARTBEAT.pack(len(name), len(value)) + name
        yield value


def _connection_piece(connection: ConnectionState) -> bytes:
    snapshot = connection.snapshot
    peer, user = connection.address.name.encode(), (snapshot.user or "").encode()
    flags = snapshot.authenticated * _AUTHENTICATED
    flags |= snapshot.may_authenticate * _MAY_AUTHENTICATE
    flags |= (snapshot.user is not None) * _HAS_USER
    flags |= connection.is_greeted * _GREETED
    texts = (peer, user, snapshot.unread, snapshot.unsent)
    fixed = _CONNECTION.pack(
        connection.fd,
        flags,
        connection.frame_began_s,
        connection.progress_s,
        *map(len, texts),
    )
    return b"".join((fixed, *texts))


class _Reader:
    """Reads the body from front to back."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.at = HEAD_BYTES

    def fields(self, shape: struct.Struct) -> tuple[Any, ...]:
        values = shape.unpack_from(self.data, self.at)
        self.at += shape.size
        return values

    def bytes(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise StateError("the state is truncated or inconsistent")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def text(self, size: int) -> str:
        return self.bytes(size).decode()


def _read_state(reader: _Reader) -> DaemonState:
    *common, waiters, connections, history_bytes, extra_bytes = reader.fields(_COMMON)
    waiter_fds = tuple(reader.fields(_WAITER)[0] for _ in range(waiters))
    peers = [_read_connection(reader) for _ in range(connections)]
    history = reader.bytes(history_bytes)
    extra = reader.bytes(extra_bytes)
    heartbeats = list(_read_heartbeats(reader.data, reader.at))
    return DaemonState._make((*common, waiter_fds, peers, history, heartbeats, extra))


def _read_connection(reader: _Reader) -> ConnectionState:
    fd, flags, frame_began_s, progress_s, *sizes = reader.fields(_CONNECTION)
    peer_bytes, user_bytes, unread_bytes, unsent_bytes = sizes
    address = PeerAddress(*split_host_and_port(reader.text(peer_bytes)))
    user = reader.text(user_bytes)
    snapshot = ProtocolSnapshot(
        authenticated=bool(flags & _AUTHENTICATED),
        may_authenticate=bool(flags & _MAY_AUTHENTICATE),
        user=user if flags & _HAS_USER else None,
        unread=reader.bytes(unread_bytes),
        unsent=reader.bytes(unsent_bytes),
    )
    is_greeted = bool(flags & _GREETED)
    return ConnectionState(fd, address, is_greeted, frame_began_s, progress_s, snapshot)


def _read_heartbeats(data: Data, at: int) -> Iterator[tuple[str, bytes]]:
    # Not by way of `_Reader`: there may be 100,000 heartbeats, and its calls would take
    # half of the time.
    unpack_from, head_bytes, end = _HEARTBEAT.unpack_from, _HEARTBEAT.size, len(data)
    while at < end:
        key_bytes, value_bytes = unpack_from(data, at)
        key_at = at + head_bytes
        value_at = key_at + key_bytes
        at = value_at + value_bytes
        yield data[key_at:value_at].decode(), data[value_at:at]
    if at > end:
        raise StateError("the state is truncated or inconsistent")
