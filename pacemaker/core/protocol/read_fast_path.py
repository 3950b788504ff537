"""The fast path for reads of one heartbeat: nearly all that Nimbus sends.

Nimbus waits for each reply before it sends its next request.  So the bytes that arrive
are nearly always exactly one GET_PULSE in the form that Storm's clients write.  The
reply copies the bytes of its path, its message id and its end.
"""

from __future__ import annotations

from typing import Protocol

from pacemaker.core.figures import Figures
from pacemaker.core.history.history import History
from pacemaker.core.history.record import (
    NO_PEER,
    NO_TURN_TIME,
    PeerRecord,
    TurnTime,
)
from pacemaker.wire import fast_codec, messages


class ReadableStore(Protocol):
    """Where the heartbeats are: the store."""

    def get(self, key: str) -> bytes | None:
        """Return a heartbeat; None if there is none."""


class ReadFastPath:
    """The fast path for the reads of one connection, which must be authenticated.

    Args:
        store: has the heartbeats.
        figures: counts the reads.
        peer_record: the connection, for the history.
        history: notes who reads; None if there is no history.
        turn_time: the time of the last poll of this thread.
    """

    __slots__ = ("_figures", "_history", "_peer_record", "_store", "_turn_time")

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
        self._turn_time = turn_time

    def answer_one(self, data: bytes) -> bytes | None:
        """Answer a read, if the bytes are exactly one, and its reply is not large.

        Args:
            data: the bytes.

        Returns:
            The reply, or None if nothing was done.
        """
        request = fast_codec.decode_get_frame(data)
        if request is None:
            return None
        path, path_bytes, id_and_stop = request
        details = self._store.get(path)
        if details is not None and len(details) >= fast_codec.LARGE_VALUE_BYTES:
            return None
        figures = self._figures
        figures.requests[messages.GET_PULSE] += 1
        figures.count_read(details)
        if self._history is not None and self._peer_record.is_reader:
            self._history.note_read(path, self._peer_record, self._turn_time.now_s)
        return fast_codec.encode_get_reply(path_bytes, details, id_and_stop)
