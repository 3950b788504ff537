"""The fast path for the pulses of one worker: nearly all of a Pacemaker's traffic.

A worker writes the same key again and again over one connection.  Its frames differ
only in their details and message ids.  So the constant bytes in between are built once
and then compared, and the key is looked up in the store only once.

Consecutive pulses are carried out together, and only the last one is stored.  No reader
can tell the difference: all of them arrived before any was answered, and a heartbeat
that is overwritten at once might never be seen anyway.  (If the key is new and the
store is full, the verdict on the last pulse holds for all of them.)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Protocol, TypeAlias

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.figures import Figures
from pacemaker.core.history.history import RETRY_S, History
from pacemaker.core.history.record import (
    NO_PEER,
    NO_TURN_TIME,
    PeerRecord,
    TurnTime,
)
from pacemaker.core.store.store import KeyHandle
from pacemaker.wire import fast_codec
from pacemaker.wire.frames import HEAD_SIZE

# After the details: constant bytes, then the message id and the message's STOP.  The
# reply ends with the same message id and STOP.
_TRAILER: Final = struct.Struct(f">{len(fast_codec.PULSE_TAIL)}s5s")
_TRAILER_SIZE: Final = _TRAILER.size
_unpack_trailer: Final = _TRAILER.unpack_from
_PULSE_TAIL: Final = fast_codec.PULSE_TAIL
_ACK_HEAD: Final = fast_codec.PULSE_ACK_HEAD

# What is remembered of a key lives as long as the connection and counts in no budget,
# so the key must be short.  Storm's keys have 80 to 130 characters.
MAX_KEY_CHARACTERS: Final = 512

# The least time between two pulses of a key that the history notes.  Storm's workers
# write every 3 s, so each of theirs is noted.  A writer of many pulses a second would
# gain nothing from it, and pay for a record that is seldom in the processor's caches.
NOTE_EVERY_S: Final = 1.0

_Unpack: TypeAlias = Callable[[bytes | bytearray, int], tuple[Any, ...]]


@cache
def _unpack_begin(head_bytes: int) -> _Unpack:
    """Return a reader of the frame's length, the head and the details' length."""
    return struct.Struct(f">i{head_bytes}si").unpack_from


class PulseStore(Protocol):
    """Where the pulses are stored."""

    def put_at(self, handle: KeyHandle, value: bytes) -> None:
        """Store a heartbeat of a known key; see `Store.put_at`."""


class PulseFastPath:
    """The fast path for pulses to one key over one connection.

    Args:
        key: the key, of at most `MAX_KEY_CHARACTERS`.
        store: stores the heartbeats.
        figures: counts the pulses.
        max_body_bytes: the largest message.  A heartbeat from a pulse of that size
            also fits the reply to a GET_PULSE, which has the same overhead.
        account: the account of the sender.
        peer_record: the connection, for the history.
        history: notes the pulses; None if there is no history.
        turn_time: the time of the last poll.
    """

    __slots__ = (
        "_details_at",
        "_figures",
        "_handle",
        "_head",
        "_history",
        "_max_details_bytes",
        "_note_from_s",
        "_overhead_bytes",
        "_peer_record",
        "_store",
        "_turn_time",
        "_unpack_begin",
        "key",
    )

    def __init__(
        self,
        key: str,
        store: PulseStore,
        figures: Figures,
        max_body_bytes: int,
        account: Account = UNKNOWN_PEER,
        peer_record: PeerRecord = NO_PEER,
        history: History | None = None,
        turn_time: TurnTime = NO_TURN_TIME,
    ) -> None:
        self.key = key
        self._handle = KeyHandle(key, account)
        self._peer_record = peer_record
        self._history = history
        self._turn_time = turn_time
        self._note_from_s = math.inf
        if history is not None:
            # The first pulses were noted before this object was made.  So if there is
            # no record now, the history had no room for one a moment ago.
            has_record = key in history.records
            self._note_from_s = 0.0 if has_record else turn_time.now_s + RETRY_S
        self._store = store
        self._figures = figures
        self._head = fast_codec.encode_pulse_head(key)
        self._unpack_begin = _unpack_begin(len(self._head))
        self._overhead_bytes = len(self._head) + 4 + _TRAILER_SIZE
        self._max_details_bytes = max_body_bytes - self._overhead_bytes
        # The offset of the details in a frame.
        self._details_at = HEAD_SIZE + self._overhead_bytes - _TRAILER_SIZE

    def answer_one(self, data: bytes) -> bytes | None:
        """Carry out a pulse, if the bytes are exactly one.

        A worker's bytes nearly always are.  `answer_consecutive` does the same for any
        number of pulses, but takes longer for a single one.

        Args:
            data: the bytes; none at the end of the stream.

        Returns:
            The reply, or None if the bytes are anything else.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        body_bytes = len(data) - HEAD_SIZE
        size = body_bytes - self._overhead_bytes
        if not 0 <= size <= self._max_details_bytes:
            return None
        # `size` follows from the number of bytes, not from what the peer has stated, so
        # neither read below can run past the end.  The stated lengths are compared.
        end = self._details_at + size
        tail, id_and_stop = _unpack_trailer(data, end)
        if (
            self._unpack_begin(data, 0) != (body_bytes, self._head, size)
            or tail != _PULSE_TAIL
            or id_and_stop[4]
        ):
            return None
        details = data[self._details_at : end]
        self._store.put_at(self._handle, details)
        # The same as `Figures.count_pulse`: a call of it takes 3 % of the time.
        figures = self._figures
        figures.pulse_size_histogram[size.bit_length()] += 1
        figures.pulse_bytes += size
        if size > figures.largest_pulse_bytes:
            figures.largest_pulse_bytes = size
        if self._turn_time.now_s >= self._note_from_s:
            self._note(details)
        reply: bytes = _ACK_HEAD + id_and_stop
        return reply

    def answer_pieces(self, pieces: Sequence[bytes | bytearray]) -> bytes | None:
        """Do the same with a large frame in pieces, whose details are copied only once.

        Args:
            pieces: all bytes of the frame, in at least two pieces.

        Returns:
            The reply; None if this is no pulse to this key, or if its constant bytes
            are not all in the first and the last piece.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        first, *between, last = pieces
        body_bytes = sum(map(len, pieces)) - HEAD_SIZE
        size = body_bytes - self._overhead_bytes
        end = len(last) - _TRAILER_SIZE
        if len(first) < self._details_at or end < 0 or size > self._max_details_bytes:
            return None
        tail, id_and_stop = _unpack_trailer(last, end)
        if (
            self._unpack_begin(first, 0) != (body_bytes, self._head, size)
            or tail != _PULSE_TAIL
            or id_and_stop[4]
        ):
            return None
        details = b"".join(
            (memoryview(first)[self._details_at :], *between, memoryview(last)[:end])
        )
        self._store.put_at(self._handle, details)
        self._figures.count_pulse(size)
        if self._turn_time.now_s >= self._note_from_s:
            self._note(details)
        reply: bytes = _ACK_HEAD + id_and_stop
        return reply

    def answer_consecutive(self, data: bytes, at: int) -> tuple[int, int, bytes] | None:
        """Carry out consecutive pulses that have arrived completely.

        Args:
            data: some bytes of the stream.
            at: the offset at which a frame begins.

        Returns:
            The offset at which the pulses end, their number, and the replies to them.
            None if no complete pulse to this key begins at the given offset.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        head = self._head
        overhead_bytes = self._overhead_bytes
        last = len(data) - HEAD_SIZE - overhead_bytes
        begin = at
        largest = 0
        ids_and_stops: list[bytes] = []
        while at <= last:
            body_bytes, found, size = self._unpack_begin(data, at)
            end = at + HEAD_SIZE + body_bytes
            if (
                found != head
                or size != body_bytes - overhead_bytes
                or not 0 <= size <= self._max_details_bytes
                or end > len(data)
            ):
                break
            # Only now: the lengths agree and are not negative, so the end lies after
            # the head and within the bytes.
            tail, id_and_stop = _unpack_trailer(data, end - _TRAILER_SIZE)
            if tail != _PULSE_TAIL or id_and_stop[4]:
                break
            ids_and_stops.append(id_and_stop)
            if size > largest:
                largest = size
            last_size = size
            at = end
        if not ids_and_stops:
            return None
        details_end = at - _TRAILER_SIZE
        details = data[details_end - last_size : details_end]
        self._store.put_at(self._handle, details)
        if self._turn_time.now_s >= self._note_from_s:
            self._note(details)
        count = len(ids_and_stops)
        sizes = at - begin - count * (HEAD_SIZE + overhead_bytes)
        self._figures.count_pulses(count, sizes, largest)
        return at, count, _ACK_HEAD + _ACK_HEAD.join(ids_and_stops)

    def _note(self, details: bytes) -> None:
        """Note a pulse in the history, and set when to note the next one."""
        assert self._history is not None  # noqa: S101  (`_note_from_s` is finite)
        now_s = self._turn_time.now_s
        record = self._history.note_pulse(self.key, self._peer_record, now_s, details)
        # Without a record, not at every pulse: the search for room takes a lock.
        self._note_from_s = now_s + (RETRY_S if record is None else NOTE_EVERY_S)
