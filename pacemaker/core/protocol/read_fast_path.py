"""The fast path for reads of one heartbeat: nearly all that Nimbus sends.

Nimbus waits for each reply before it sends its next request.  So the bytes that arrive
are nearly always exactly one GET_PULSE in the form that Storm's clients write.  Such
requests of one size differ only in their paths and message ids.  So the bytes before
the path are built in advance, for each size, and then compared.  The reply copies the
bytes of the path, the message id and the end.

A read needs one look-up.  The history has a record of nearly every key, and Nimbus's
reads are noted in it.  The record is also the key's handle in the store, so the store
need not follow the path segment by segment.  It has to if there is no history, or no
record of the key.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, Protocol

from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import (
    NO_PEER,
    NO_TURN_TIME,
    KeyRecord,
    PeerRecord,
    TurnTime,
)
from pacemaker.core.store.store import LeafHandle
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.frames import HEAD_SIZE

# A longer request takes the general way.  Storm's keys have 80 to 130 characters.  The
# table of the bytes before the path takes some 100 bytes for each size.
MAX_FRAME_BYTES: Final = 600

# A message id and the STOP of its message.
_ID_AND_STOP_SIZE: Final = 5
# A request: the frame's length, constant bytes, the path's length (up to here it is the
# *beginning*), the path, constant bytes, the message id and STOP.
_BEGINNING: Final = struct.Struct(f">i{len(fast_codec.GET_HEAD)}si")
_PATH_AT: Final = _BEGINNING.size
_PATH_LENGTH_AT: Final = _PATH_AT - 4
_PATH_TAIL: Final = fast_codec.PATH_TAIL
_TRAILER_SIZE: Final = len(_PATH_TAIL) + _ID_AND_STOP_SIZE
_OVERHEAD_BYTES: Final = _BEGINNING.size + _TRAILER_SIZE

# A reply: the frame's length, constant bytes, the path with its length; unless it is a
# miss, the details with their head and length; constant bytes, the message id and STOP.
_REPLY_HEAD: Final = fast_codec.PULSE_RESPONSE_HEAD
_DETAILS_HEAD: Final = fast_codec.DETAILS_HEAD
_PULSE_TAIL: Final = fast_codec.PULSE_TAIL
_pack_reply_beginning: Final = struct.Struct(f">i{len(_REPLY_HEAD)}s").pack
_pack_details_beginning: Final = struct.Struct(f">{len(_DETAILS_HEAD)}si").pack
# By how many bytes the body of a reply is longer than the frame of its request, apart
# from the details.
_MISS_GROWTH_BYTES: Final = (
    len(_REPLY_HEAD) + 4 + len(_PULSE_TAIL) + _ID_AND_STOP_SIZE - _OVERHEAD_BYTES
)
_HIT_GROWTH_BYTES: Final = _MISS_GROWTH_BYTES + len(_DETAILS_HEAD) + 4

# Looked up once, as in `server_protocol`.
_LARGE_VALUE_BYTES: Final = fast_codec.LARGE_VALUE_BYTES
_GET_PULSE: Final = messages.GET_PULSE

_NO_RECORDS: Final[Mapping[str, KeyRecord]] = {}


def _beginning_of(frame_bytes: int) -> bytes:
    """Return the bytes before the path of a GET_PULSE whose frame has a given size."""
    path_bytes = frame_bytes - _OVERHEAD_BYTES
    if path_bytes < 0:
        # No GET_PULSE is this short.  These bytes are longer than such a frame, so none
        # begins with them.
        return bytes(_OVERHEAD_BYTES)
    return _BEGINNING.pack(frame_bytes - HEAD_SIZE, fast_codec.GET_HEAD, path_bytes)


_BEGINNINGS: Final = tuple(map(_beginning_of, range(MAX_FRAME_BYTES)))


class ReadableStore(Protocol):
    """Where the heartbeats are: the store."""

    def get(self, key: str) -> bytes | None:
        """Return a heartbeat; None if there is none."""

    def get_at(self, key: str, handle: LeafHandle) -> bytes | None:
        """Do the same for a key that was found before; see `Store.get_at`."""


class ReadFastPath:
    """The fast path for the reads of one connection, which must be authenticated.

    Args:
        store: has the heartbeats.
        figures: counts the reads.
        peer_record: the connection, for the history.
        history: notes who reads; None if there is no history.
        turn_time: the time of the last poll of this thread.
    """

    __slots__ = (
        "_figures",
        "_history",
        "_peer_record",
        "_records",
        "_store",
        "_turn_time",
    )

    def __init__(
        self,
        store: ReadableStore,
        figures: Figures,
        peer_record: PeerRecord = NO_PEER,
        history: History | None = None,
        turn_time: TurnTime = NO_TURN_TIME,
    ) -> None:
        self._store = store
        self._figures = figures
        self._peer_record = peer_record
        self._history = history
        self._records = _NO_RECORDS if history is None else history.records
        self._turn_time = turn_time

    def answer_one(self, data: bytes) -> bytes | None:
        """Answer a read, if the bytes are exactly one, and its reply is not large.

        Args:
            data: the bytes; none at the end of the stream.

        Returns:
            The reply, or None if nothing was done.
        """
        # One function, although it decodes, looks up and encodes.  With a function for
        # each step, and tuples between them, a read would take 1.2 us instead of 1.0.
        frame_bytes = len(data)
        tail_at = frame_bytes - _TRAILER_SIZE
        if (
            frame_bytes >= MAX_FRAME_BYTES
            or not data.startswith(_BEGINNINGS[frame_bytes])
            or not data.startswith(_PATH_TAIL, tail_at)
            or data[-1]
        ):
            return None
        try:
            path = data[_PATH_AT:tail_at].decode()
        except UnicodeDecodeError:
            return None
        record = self._records.get(path)
        if record is None:
            details = self._store.get(path)
        else:
            details = self._store.get_at(path, record)
        figures = self._figures
        if details is None:
            figures.misses += 1
            body_bytes = frame_bytes + _MISS_GROWTH_BYTES
            details_beginning = details = b""
        else:
            details_bytes = len(details)
            if details_bytes >= _LARGE_VALUE_BYTES:
                # Nothing is counted yet.
                return None
            figures.read_bytes += details_bytes
            body_bytes = frame_bytes + _HIT_GROWTH_BYTES + details_bytes
            details_beginning = _pack_details_beginning(_DETAILS_HEAD, details_bytes)
        figures.requests[_GET_PULSE] += 1
        if self._peer_record.is_reader and self._history is not None:
            self._history.note_read(record, self._peer_record, self._turn_time.now_s)
        return b"".join(
            (
                _pack_reply_beginning(body_bytes, _REPLY_HEAD),
                data[_PATH_LENGTH_AT:tail_at],
                details_beginning,
                details,
                _PULSE_TAIL,
                data[-_ID_AND_STOP_SIZE:],
            )
        )
