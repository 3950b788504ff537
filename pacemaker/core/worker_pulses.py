"""The pulses of one worker: nearly all that a Pacemaker is ever sent.

A worker writes one key, again and again, over one connection.  Its frames differ
in their details and their message ids alone.  So the bytes between are made once
and compared, and where the key lies in the store is found once.

Pulses that lie one behind the other are taken together, and only the last of them
is stored.  Nobody misses the others: all came before any was answered, and what
one overwrites may never have been seen.  (Where the key is new and the store full,
it is the last that is judged, and its verdict is that of all.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

from pacemaker.core.accounts import NOBODY, Account
from pacemaker.core.figures import Figures
from pacemaker.core.store import Place, Store
from pacemaker.wire import canonical
from pacemaker.wire.frames import HEAD_SIZE

# Behind the details: constant bytes, and the message id with the message's STOP,
# which are the end of the reply as well.
_END: Final = struct.Struct(f">{len(canonical.PULSE_TAIL)}s5s")
_END_SIZE: Final = _END.size
_unpack_end: Final = _END.unpack_from
_TAIL: Final = canonical.PULSE_TAIL
_ACK_HEAD: Final = canonical.PULSE_ACK_HEAD

# What is remembered of a key lives as long as the connection, and in no budget.
# Storm's have 80 to 130 characters.
MAX_KEY_CHARACTERS: Final = 512

_Unpack: TypeAlias = Callable[[bytes, int], tuple[Any, ...]]


@cache
def _unpack_begin(head_bytes: int) -> _Unpack:
    """Return what reads the frame's length, so much behind it, the details' length."""
    return struct.Struct(f">i{head_bytes}si").unpack_from


class WorkerPulses:
    """The pulses to one key over one connection.

    Args:
        key: which, of no more than `MAX_KEY_CHARACTERS`.
        store: where they are stored.
        figures: where they are counted.
        max_body_bytes: the largest message; a pulse of that size fits the reply
            to its GET_PULSE, which has as much around key and details.
        account: who sends them.
    """

    __slots__ = (
        "_around_bytes",
        "_details_at",
        "_figures",
        "_head",
        "_max_details_bytes",
        "_place",
        "_store",
        "_unpack_begin",
        "key",
    )

    def __init__(
        self,
        key: str,
        store: Store,
        figures: Figures,
        max_body_bytes: int,
        account: Account = NOBODY,
    ) -> None:
        self.key = key
        self._place = Place(key, account)
        self._store = store
        self._figures = figures
        self._head = canonical.pulse_head(key)
        self._unpack_begin = _unpack_begin(len(self._head))
        self._around_bytes = len(self._head) + 4 + _END_SIZE
        self._max_details_bytes = max_body_bytes - self._around_bytes
        # Where the details begin in a frame.
        self._details_at = HEAD_SIZE + self._around_bytes - _END_SIZE

    def answer_one(self, data: bytes) -> bytes | None:
        """Carry out a pulse, where the bytes are one and nothing else.

        That is what a worker's bytes nearly always are; `answer` does the same for
        as many as there are, and takes longer for one.

        Args:
            data: the bytes.

        Returns:
            The reply, or None where they are anything else.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        body_bytes = len(data) - HEAD_SIZE
        size = body_bytes - self._around_bytes
        if not 0 <= size <= self._max_details_bytes:
            return None
        end = self._details_at + size
        tail, reply_end = _unpack_end(data, end)
        if (
            self._unpack_begin(data, 0) != (body_bytes, self._head, size)
            or tail != _TAIL
            or reply_end[4]
        ):
            return None
        self._store.put_at(self._place, data[self._details_at : end])
        self._figures.count_pulse(size)
        reply: bytes = _ACK_HEAD + reply_end
        return reply

    def answer(self, data: bytes, at: int) -> tuple[int, int, bytes] | None:
        """Carry out the pulses that lie whole and one behind the other.

        Args:
            data: some bytes of the stream.
            at: where a frame begins in them.

        Returns:
            Where they end, how many they are, and the replies to them; None where
            none lies there, whatever else does.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        head = self._head
        around_bytes = self._around_bytes
        last = len(data) - HEAD_SIZE - around_bytes
        begin = at
        largest = 0
        ends: list[bytes] = []
        while at <= last:
            body_bytes, found, size = self._unpack_begin(data, at)
            end = at + HEAD_SIZE + body_bytes
            if (
                found != head
                or size != body_bytes - around_bytes
                or not 0 <= size <= self._max_details_bytes
                or end > len(data)
            ):
                break
            tail, reply_end = _unpack_end(data, end - _END_SIZE)
            if tail != _TAIL or reply_end[4]:
                break
            ends.append(reply_end)
            if size > largest:
                largest = size
            last_size = size
            at = end
        if not ends:
            return None
        details_end = at - _END_SIZE
        self._store.put_at(self._place, data[details_end - last_size : details_end])
        count = len(ends)
        sizes = at - begin - count * (HEAD_SIZE + around_bytes)
        self._figures.count_pulses(count, sizes, largest)
        return at, count, _ACK_HEAD + _ACK_HEAD.join(ends)
