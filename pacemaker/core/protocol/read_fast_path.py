"""The fast path for reads of one heartbeat: nearly all that Nimbus sends.

Nimbus waits for each reply before it sends its next request.  So the bytes that arrive
are nearly always exactly one GET_PULSE in the form that Storm's clients write.  Such
requests of one size differ only in their paths and message ids.  So what takes a
request of a size apart, and what puts its reply together, is made once for each size
(`_Form`).

A read needs one look-up.  The history has a record of nearly every key, and Nimbus's
reads are noted in it.  The record is also the key's handle in the store, so the store
need not follow the path segment by segment.  It has to if there is no history, or no
record of the key.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

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

# A longer request takes the general way.  Storm's keys have 80 to 130 characters.  What
# is made for a size takes less than a kilobyte.
MAX_FRAME_BYTES: Final = 600

# A message id and the STOP of its message.
_ID_AND_STOP_SIZE: Final = 5
# A request: the frame's length, constant bytes, the path's length (up to here it is the
# *beginning*), the path, constant bytes, the message id and STOP.
_BEGINNING: Final = struct.Struct(f">i{len(fast_codec.GET_HEAD)}si")
_PATH_TAIL: Final = fast_codec.PATH_TAIL
_OVERHEAD_BYTES: Final = _BEGINNING.size + len(_PATH_TAIL) + _ID_AND_STOP_SIZE

# A reply: the frame's length, constant bytes, the path with its length; unless it is a
# miss, the details with their head and length; constant bytes, the message id and STOP.
_REPLY_HEAD: Final = fast_codec.PULSE_RESPONSE_HEAD
_DETAILS_HEAD: Final = fast_codec.DETAILS_HEAD
_PULSE_TAIL: Final = fast_codec.PULSE_TAIL
_pack_length: Final = struct.Struct(">i").pack
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

# What requests whose frames have one size have in common: what takes such a frame apart
# (into its beginning, the path, the constant bytes, and the message id with STOP), the
# beginning, what comes before the path in the reply, without the length of the frame,
# and what packs a hit up to the details.
_Form: TypeAlias = tuple[
    Callable[[bytes], tuple[Any, ...]], bytes, bytes, Callable[..., bytes]
]
# By the size of the frame.  At most `MAX_FRAME_BYTES` of them are made.
_forms: Final[dict[int, _Form]] = {}


def _make_form(frame_bytes: int) -> _Form | None:
    """Make and keep what requests of one size have in common; None for no such size."""
    path_bytes = frame_bytes - _OVERHEAD_BYTES
    if path_bytes < 0 or frame_bytes >= MAX_FRAME_BYTES:
        return None
    request = struct.Struct(
        f">{_BEGINNING.size}s{path_bytes}s{len(_PATH_TAIL)}s{_ID_AND_STOP_SIZE}s"
    )
    beginning = _BEGINNING.pack(
        frame_bytes - HEAD_SIZE, fast_codec.GET_HEAD, path_bytes
    )
    reply_head = _REPLY_HEAD + _pack_length(path_bytes)
    hit = struct.Struct(f">i{len(reply_head)}s{path_bytes}s{len(_DETAILS_HEAD)}si")
    form = _forms[frame_bytes] = (request.unpack, beginning, reply_head, hit.pack)
    return form


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
        # One function, although it decodes, looks up and encodes.  An earlier version
        # with a function for each step, and tuples between them, took a fifth longer.
        frame_bytes = len(data)
        form = _forms.get(frame_bytes) or _make_form(frame_bytes)
        if form is None:
            return None
        unpack, beginning, reply_head, pack_hit = form
        begun, path_utf8, tail, id_and_stop = unpack(data)
        if begun != beginning or tail != _PATH_TAIL or id_and_stop[4]:
            return None
        try:
            path = path_utf8.decode()
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
            details = b""
            length = _pack_length(frame_bytes + _MISS_GROWTH_BYTES)
            reply_beginning = length + reply_head + path_utf8
        else:
            details_bytes = len(details)
            if details_bytes >= _LARGE_VALUE_BYTES:
                # Nothing is counted yet.
                return None
            figures.read_bytes += details_bytes
            body_bytes = frame_bytes + _HIT_GROWTH_BYTES + details_bytes
            reply_beginning = pack_hit(
                body_bytes, reply_head, path_utf8, _DETAILS_HEAD, details_bytes
            )
        figures.requests[_GET_PULSE] += 1
        if self._peer_record.is_reader and self._history is not None:
            self._history.note_read(record, self._peer_record, self._turn_time.now_s)
        return b"".join((reply_beginning, details, _PULSE_TAIL, id_and_stop))
