"""Frames: a stream of bytes in, the bodies of messages out.

A frame is a big-endian i32 and that many bytes.  The length is checked as soon as its
four bytes have arrived.  Memory is allocated as bytes arrive, never for a length that
a peer has only stated.

The work is proportional to the number of bytes, even if they arrive one at a time, or
as thousands of frames in one segment.  Frames that are complete in one segment are not
copied at all.  A frame that arrives in pieces is copied twice, and so are the frames
that follow it in its last piece; but `grown` gives it after one copy.
"""

from __future__ import annotations

import struct
from typing import Final

from pacemaker.errors import FrameError
from pacemaker.wire import strangers

HEAD_SIZE: Final = 4
_unpack_length: Final = struct.Struct(">i").unpack_from


class FrameReader:
    """The unread bytes of one stream.

    Args:
        max_body_bytes: the size of the largest body that is allowed.
    """

    __slots__ = ("_max_body_bytes", "_position", "_unread", "frames_rcvd")

    def __init__(self, max_body_bytes: int, unread: bytes = b"") -> None:
        self._max_body_bytes = max_body_bytes
        # A bytearray while one frame grows in small pieces, and bytes otherwise.
        self._unread: bytes | bytearray = unread
        self._position = 0
        self.frames_rcvd = 0

    def receive(self, data: bytes) -> None:
        """Receive some bytes of the stream."""
        unread = self._unread
        if self._position == len(unread):
            self._unread = data
            self._position = 0
            return
        if isinstance(unread, bytes):
            is_complete = self.frame_bytes <= self.unread_bytes + len(data)
            rest = unread[self._position :]
            self._position = 0
            if is_complete:
                self._unread = rest + data
                return
            # The frame grows in place.  Joining bytes for each piece would copy the
            # frame every time, and would leave more holes in the heap.
            self._unread = unread = bytearray(rest)
        unread += data

    def peek(self) -> tuple[bytes, int] | None:
        """Return some bytes, and the offset at which the unread ones begin.

        None if the bytes are a frame that arrived in small pieces: `next` reads it.
        """
        unread = self._unread
        return (unread, self._position) if isinstance(unread, bytes) else None

    def grown(self) -> memoryview | None:
        """Return a frame, from its head, that has grown in small pieces.

        None unless it is complete and nothing follows it.  The view must be released
        before more bytes are received; `skip` skips the frame.
        """
        unread = self._unread
        if isinstance(unread, bytes) or self._position:
            return None
        # `next` refuses a length that is not allowed.
        is_allowed = len(unread) <= HEAD_SIZE + self._max_body_bytes
        is_whole = is_allowed and len(unread) == self.frame_bytes
        return memoryview(unread) if is_whole else None

    def skip(self, end: int, frames: int) -> None:
        """Skip complete frames, up to an offset in what `peek` or `grown` returned."""
        self._position = end
        self.frames_rcvd += frames

    def next(self) -> tuple[bytes, int, int] | None:
        """Return the next body, or None until more bytes have arrived.

        Returns:
            ``(data, start, end)``: the body is ``data[start:end]``.

        Raises:
            FrameError: the length is negative or above the limit.
        """
        start = self._position + HEAD_SIZE
        unread = self._unread
        if start > len(unread):
            self._keep_rest()
            return None
        (length,) = _unpack_length(unread, self._position)
        if not 0 <= length <= self._max_body_bytes:
            raise FrameError("frame length out of range", self._about(length))
        end = start + length
        if end > len(unread):
            self._keep_rest()
            return None
        if isinstance(unread, bytearray):
            self._unread = unread = bytes(unread)
        self._position = end
        self.frames_rcvd += 1
        return unread, start, end

    def _about(self, length: int) -> str:
        detail = f"{length}, allowed is 0 to {self._max_body_bytes}"
        if self.frames_rcvd:
            return detail
        start = self._position
        first = bytes(self._unread[start : start + strangers.LOOKED_AT_BYTES])
        likeness = strangers.likeness(first)
        return f"{detail}; it looks like {likeness}" if likeness else detail

    def _keep_rest(self) -> None:
        """Free the frames that were read, and keep the partial frame after them."""
        if self._position:
            self._unread = self._unread[self._position :]
            self._position = 0

    def free_read(self) -> None:
        """Free the frames that were read, if they are most of the bytes kept."""
        if 2 * self._position > len(self._unread):
            self._unread = self._unread[self._position :]
            self._position = 0

    @property
    def unread_bytes(self) -> int:
        """The number of unread bytes."""
        return len(self._unread) - self._position

    @property
    def unread(self) -> bytes:
        """The unread bytes; a new reader that is given them continues from here."""
        return bytes(self._unread[self._position :])

    @property
    def frame_bytes(self) -> int:
        """The stated size of the frame that has begun, including its head.

        0 if no frame has begun, `HEAD_SIZE` if its length has not arrived yet.
        """
        unread = self.unread_bytes
        if unread < HEAD_SIZE:
            return HEAD_SIZE if unread else 0
        (length,) = _unpack_length(self._unread, self._position)
        return HEAD_SIZE + int(length)
