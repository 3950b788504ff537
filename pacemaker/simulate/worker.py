"""A worker: the pulses of one connection, without I/O; and a relay for several.

The key's part of a pulse's frame is encoded before the run; during the run the details,
their lengths and the message id are added.

A worker's clock does not wait for answers.  Each pulse is sent at its scheduled time,
however many are unanswered.  After a loss, unanswered pulses are sent again over the
next connection, as Storm's client does.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final, NamedTuple, Protocol

from pacemaker.errors import OutOfPlaceError
from pacemaker.simulate.tally import Tally
from pacemaker.wire import fast_codec, messages
from pacemaker.wire.frames import FrameReader
from pacemaker.wire.messages import Message, Pulse

# The number of message ids in Storm's client, which uses them in turn.
_IDS: Final = 100
_ANSWERS: Final = tuple(map(fast_codec.encode_pulse_ack, range(_IDS)))
_MAX_REPLY_BYTES: Final = 1024

_LENGTH: Final = struct.Struct(">i")
# Between the key and the details.
_DETAILS_BEGIN: Final = struct.Struct(">3si")
_DETAILS_HEAD: Final = b"\x0b\x00\x02"
_END: Final = struct.Struct(f">{len(fast_codec.PULSE_TAIL)}sib")
# Message ids of a relay's pulses are not negative.
_MAX_ID: Final = 2**31
# The body of an answer, up to its message id.
_ANSWER_HEAD: Final = fast_codec.PULSE_ACK_HEAD[_LENGTH.size :]
_ANSWER_END: Final = struct.Struct(">ib")


class HeartbeatSource(Protocol):
    """The heartbeats of one worker."""

    def at(self, number: int, scheduled_s: float) -> bytes:
        """Return the heartbeat with this number, scheduled for this time."""


class _Unanswered(NamedTuple):
    scheduled_s: float
    beat: int
    message_id: int


def _key_part(key: str) -> bytes:
    """Return the part of a pulse's frame after the length, up to the end of the key."""
    frame = messages.encode(Message(messages.SEND_PULSE, Pulse(key, b""), 0))
    return frame[_LENGTH.size : -_END.size - _DETAILS_BEGIN.size]


def _frame_of(key_part: bytes, details: bytes, message_id: int) -> bytes:
    length = len(key_part) + _DETAILS_BEGIN.size + len(details) + _END.size
    return b"".join(
        (
            _LENGTH.pack(length),
            key_part,
            _DETAILS_BEGIN.pack(_DETAILS_HEAD, len(details)),
            details,
            _END.pack(fast_codec.PULSE_TAIL, message_id, 0),
        )
    )


class WorkerProtocol:
    """One worker.

    Args:
        key: the path of its heartbeat.
        beats: its heartbeats.
        tally: counts the events.
    """

    __slots__ = ("_beat", "_beats", "_frames", "_key_part", "_tally", "_unanswered")

    def __init__(self, key: str, beats: HeartbeatSource, tally: Tally) -> None:
        self._key_part = _key_part(key)
        self._beats = beats
        self._beat = 0
        self._tally = tally
        self._unanswered: deque[_Unanswered] = deque()
        self._frames = FrameReader(_MAX_REPLY_BYTES)

    @property
    def peer(self) -> WorkerProtocol:
        """The protocol of its connection: itself."""
        return self

    def __repr__(self) -> str:
        return f"<WorkerProtocol beat={self._beat} unanswered={self.unanswered}>"

    @property
    def unanswered(self) -> int:
        """The number of unanswered pulses."""
        return len(self._unanswered)

    @property
    def oldest_unanswered_s(self) -> float | None:
        """The scheduled time of the oldest unanswered pulse."""
        return self._unanswered[0].scheduled_s if self._unanswered else None

    def pulse(self, scheduled_s: float) -> bytes:
        """Return the frame of the next pulse to send."""
        beat = self._beat
        self._beat = beat + 1
        self._tally.scheduled += 1
        pulse = _Unanswered(scheduled_s, beat, beat % _IDS)
        self._unanswered.append(pulse)
        return self._frame(pulse)

    def bytes_on_connect(self, now_s: float) -> bytes:
        """Return the bytes to send on a new connection: all unanswered pulses."""
        self._frames = FrameReader(_MAX_REPLY_BYTES)
        return b"".join(map(self._frame, self._unanswered))

    def receive_data(self, data: bytes, now_s: float) -> bytes:
        """Process bytes from the server.

        Returns:
            The bytes to send: always none.

        Raises:
            PeerError: the bytes are not the expected answer.
        """
        unanswered = self._unanswered
        if (
            unanswered
            and data == _ANSWERS[unanswered[0].message_id]
            and not self._frames.unread_bytes
        ):
            self._tally.pulses.record(now_s - unanswered.popleft().scheduled_s)
            return b""
        self._frames.receive(data)
        while frame := self._frames.next():
            self._process_reply(*frame, now_s)
        return b""

    def _process_reply(self, data: bytes, start: int, end: int, now_s: float) -> None:
        message = messages.decode(data[start:end])
        oldest = self._unanswered[0] if self._unanswered else None
        if (
            oldest is None
            or message.type != messages.SEND_PULSE_RESPONSE
            or message.message_id != oldest.message_id
        ):
            name = messages.name_of(message.type)
            raise OutOfPlaceError("answer to no pulse", f"{name} {message.message_id}")
        self._tally.pulses.record(now_s - self._unanswered.popleft().scheduled_s)

    def _frame(self, pulse: _Unanswered) -> bytes:
        details = self._beats.at(pulse.beat, pulse.scheduled_s)
        return _frame_of(self._key_part, details, pulse.message_id)


class RelayProtocol:
    """The relay of one host: the pulses of all its workers, over one connection.

    Pulses are pipelined, and answered in order.

    Args:
        tally: counts the events.
    """

    __slots__ = ("_frames", "_next_id", "_tally", "_unanswered")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._next_id = 0
        # The scheduled time of each unanswered pulse, and its frame.
        self._unanswered: deque[tuple[float, int, bytes]] = deque()
        self._frames = FrameReader(_MAX_REPLY_BYTES)

    def __repr__(self) -> str:
        return f"<RelayProtocol unanswered={len(self._unanswered)}>"

    def pulse(self, worker: RelayedWorker, scheduled_s: float) -> bytes:
        """Return the frame of the next pulse of a worker."""
        self._tally.scheduled += 1
        message_id = self._next_id
        self._next_id = (message_id + 1) % _MAX_ID
        frame = worker.frame(message_id, scheduled_s)
        self._unanswered.append((scheduled_s, message_id, frame))
        return frame

    def bytes_on_connect(self, now_s: float) -> bytes:
        """Return the bytes to send on a new connection: all unanswered pulses."""
        self._frames = FrameReader(_MAX_REPLY_BYTES)
        return b"".join(frame for _, _, frame in self._unanswered)

    def receive_data(self, data: bytes, now_s: float) -> bytes:
        """Process bytes from the server.

        Returns:
            The bytes to send: always none.

        Raises:
            PeerError: the bytes are not the expected answers.
        """
        self._frames.receive(data)
        unanswered = self._unanswered
        while frame := self._frames.next():
            found, start, end = frame
            if not unanswered or found[start:end] != _answer_body(unanswered[0][1]):
                raise OutOfPlaceError("answer to no pulse")
            self._tally.pulses.record(now_s - unanswered.popleft()[0])
        return b""


class RelayedWorker:
    """One worker that writes through a relay.

    Args:
        key: the path of its heartbeat.
        beats: its heartbeats.
        relay: the relay of its host.

    Attributes:
        peer: the protocol of its connection: that of the relay.
    """

    __slots__ = ("_beat", "_beats", "_key_part", "peer")

    def __init__(self, key: str, beats: HeartbeatSource, relay: RelayProtocol) -> None:
        self._key_part = _key_part(key)
        self._beats = beats
        self._beat = 0
        self.peer = relay

    def pulse(self, scheduled_s: float) -> bytes:
        """Return the frame of the next pulse to send."""
        return self.peer.pulse(self, scheduled_s)

    def frame(self, message_id: int, scheduled_s: float) -> bytes:
        """Return the frame of the next beat."""
        details = self._beats.at(self._beat, scheduled_s)
        self._beat += 1
        return _frame_of(self._key_part, details, message_id)


def _answer_body(message_id: int) -> bytes:
    return _ANSWER_HEAD + _ANSWER_END.pack(message_id, 0)
