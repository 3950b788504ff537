"""Which fast paths the requests of one connection may take.

A peer that sends two consecutive pulses to one key is treated as the worker of that
key, and one that reads, and may, as a reader.  Whatever it sends next, its replies are
the same; only the time that they take is not.
"""

from __future__ import annotations

from typing import Final

from pacemaker.core.accounts.account import Account
from pacemaker.core.history.record import PeerRecord
from pacemaker.core.protocol.contract import FastPath
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.outgoing import Outgoing
from pacemaker.core.protocol.pulse_fast_path import MAX_KEY_CHARACTERS, PulseFastPath
from pacemaker.core.protocol.read_fast_path import ReadFastPath
from pacemaker.wire.frames import FrameReader

# What answering any number of a worker's pulses together costs, and each 32 KiB of a
# large one; the unit is that of `server_protocol.SLICE_COST`.
_PULSES_COST: Final = 16
BYTES_PER_COST: Final = 32 * 1024


class FastPaths:
    """The fast paths of one connection.

    Args:
        dispatcher: makes them.
        account: the account of the peer's address.
        peer_record: the connection, as the history knows it.

    Attributes:
        first: the one that may answer the next request; None if there is none.
    """

    __slots__ = (
        "_account",
        "_dispatcher",
        "_last_key",
        "_peer_record",
        "_pulses",
        "_reads",
        "first",
    )

    def __init__(
        self, dispatcher: Dispatcher, account: Account, peer_record: PeerRecord
    ) -> None:
        self._dispatcher = dispatcher
        self._account = account
        self._peer_record = peer_record
        self._last_key: str | None = None
        self._pulses: PulseFastPath | None = None
        self._reads: ReadFastPath | None = None
        self.first: FastPath | None = None

    def note_pulse(self, key: str) -> None:
        """Take note of a pulse that has taken none of them."""
        # Not after one pulse: what `PulseFastPath` prepares would be wasted on a peer
        # that writes a different key each time.
        if len(key) > MAX_KEY_CHARACTERS:
            return
        if key != self._last_key:
            self._last_key = key
        elif self._pulses is None or self._pulses.key != key:
            # The earlier string: the history keeps that one, too.
            self.first = self._pulses = self._dispatcher.pulse_fast_path(
                self._last_key, self._account, self._peer_record
            )

    def note_read(self) -> None:
        """Take note of a read by a peer that may read."""
        if self._reads is None:
            self._reads = self._dispatcher.read_fast_path(self._peer_record)
            self.first = self._pulses or self._reads

    def clear(self) -> None:
        """Forget what the peer has sent, because nothing more is read."""
        self._pulses = self._reads = self.first = None

    def answer_pulses(self, frames: FrameReader, outgoing: Outgoing) -> int:
        """Answer the worker's next pulses, if there is a worker and pulses come next.

        Args:
            frames: the unread bytes, from which the pulses are taken.
            outgoing: what the replies are added to.

        Returns:
            The cost, which is the same for any number of pulses: they are checked, but
            only the last one is stored.  0 if nothing was done.

        Raises:
            LimitError: the heartbeat cannot be stored.
        """
        pulses = self._pulses
        if pulses is None:
            return 0
        unread = frames.peek()
        if unread is None:
            return _answer_pieces(pulses, frames, outgoing)
        answered = pulses.answer_consecutive(*unread)
        if answered is None:
            return 0
        end, count, replies = answered
        frames.skip(end, count)
        outgoing.add(replies)
        return _PULSES_COST


def _answer_pieces(
    pulses: PulseFastPath, frames: FrameReader, outgoing: Outgoing
) -> int:
    """Answer a large pulse that has arrived in pieces; return the cost."""
    pieces = frames.pieces()
    reply = None if pieces is None else pulses.answer_pieces(pieces)
    if reply is None:
        return 0
    size_bytes = frames.unread_bytes
    frames.skip_pieces()
    outgoing.add(reply)
    return 1 + size_bytes // BYTES_PER_COST
