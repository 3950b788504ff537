"""Frames: a stream of bytes in, the bodies of messages out.

A frame is a big-endian i32 and that many bytes.  The length is checked as soon as its
four bytes have arrived.  Memory is allocated as bytes arrive, never for a length that
a peer has only stated.

The work is proportional to the number of bytes, even if they arrive one at a time, or
as thousands of frames in one segment.  Frames that are complete in one segment are not
copied at all.  A frame in several segments is copied once, and its pieces below 16 KiB
twice.  The bytes after it are copied only if the segment's end cut the frame's four
length bytes.  `pieces` gives a large frame, whose small pieces are copied once.
"""

from __future__ import annotations

import struct
from typing import Final

from pacemaker.errors import FrameError
from pacemaker.wire.protocol_sniffing import SNIFFED_BYTES, sniff_protocol

HEAD_SIZE: Final = 4

# Pieces below this size are put together, so that a frame that arrives byte by byte is
# not a million objects.
_SMALL_BYTES: Final = 16 * 1024
# From this size on, a copy takes longer than handling the pieces.
_LARGE_BYTES: Final = 64 * 1024

_unpack_length: Final = struct.Struct(">i").unpack_from


class FrameReader:
    """The unread bytes of one stream.

    Args:
        max_body_bytes: the size of the largest body that is allowed.
    """

    __slots__ = (
        "_first_piece_at",
        "_max_body_bytes",
        "_pieces",
        "_pieces_bytes",
        "_position",
        "_unread",
        "frames_received",
    )

    def __init__(self, max_body_bytes: int, unread: bytes = b"") -> None:
        self._max_body_bytes = max_body_bytes
        self._unread = unread
        self._position = 0
        # The pieces after `_unread`, where the unread bytes of the first one begin, and
        # how many bytes are unread.  If there are any, `_unread` has at least the head
        # of a frame.  A list, although its front is removed: an empty deque takes 600
        # bytes for each connection, and there are at most some hundred pieces.
        self._pieces: list[bytes | bytearray] = []
        self._first_piece_at = 0
        self._pieces_bytes = 0
        self.frames_received = 0

    def receive(self, data: bytes) -> None:
        """Receive some bytes of the stream."""
        unread = self._unread
        if self._pieces:
            self._add_piece(data)
        elif self._position == len(unread):
            self._unread = data
            self._position = 0
        else:
            rest = unread[self._position :]
            self._position = 0
            if len(rest) < HEAD_SIZE:
                self._unread = rest + data
            else:
                self._unread = rest
                self._add_piece(data)

    def _add_piece(self, data: bytes) -> None:
        """Add a piece.

        Joining the bytes would copy a large frame for each piece, and would leave more
        holes in the heap.
        """
        self._pieces_bytes += len(data)
        if len(data) >= _SMALL_BYTES:
            self._pieces.append(data)
        elif self._pieces and isinstance(last := self._pieces[-1], bytearray):
            last += data
        else:
            self._pieces.append(bytearray(data))

    def peek(self) -> tuple[bytes, int] | None:
        """Return some bytes, and the offset at which the unread ones begin.

        None if the next frame is a large one in pieces.
        """
        if self._pieces:
            size = self.frame_bytes
            if size < _LARGE_BYTES and self._has_pieces_of(size):
                self._join_first(size)
            elif size > len(self._unread) - self._position:
                return None
        return self._unread, self._position

    def pieces(self) -> list[bytes | bytearray] | None:
        """Return the two or more pieces of the next frame, including its head.

        Return None if the frame is incomplete, is in one piece, or is followed by other
        bytes.  `skip_pieces` skips the frame.
        """
        # `next` refuses a length that is not allowed.
        most_bytes = HEAD_SIZE + self._max_body_bytes
        if not self._pieces or not self.unread_bytes == self.frame_bytes <= most_bytes:
            return None
        # It may begin inside a segment that ended the frame before it.
        if self._position:
            return None
        return [self._unread, *self._pieces]

    def skip_pieces(self) -> None:
        """Skip the frame that `pieces` returned."""
        self._unread = b""
        self._pieces.clear()
        self._pieces_bytes = 0
        self.frames_received += 1

    def skip(self, end: int, frames: int) -> None:
        """Skip complete frames, up to an offset in what `peek` returned."""
        self._position = end
        self.frames_received += frames
        if self._pieces:
            self._advance()

    def next(self) -> tuple[bytes, int, int] | None:
        """Return the next body, or None until more bytes have arrived.

        Returns:
            ``(data, start, end)``: the body is ``data[start:end]``.

        Raises:
            FrameError: the length is negative or above the limit.
        """
        start = self._position + HEAD_SIZE
        if start > len(self._unread):
            self.drop_read()
            return None
        (length,) = _unpack_length(self._unread, self._position)
        if not 0 <= length <= self._max_body_bytes:
            raise FrameError("frame length out of range", self._describe_length(length))
        end = start + length
        if end > len(self._unread):
            if not self._has_pieces_of(HEAD_SIZE + length):
                self.drop_read()
                return None
            self._join_first(HEAD_SIZE + length)
            start, end = HEAD_SIZE, HEAD_SIZE + length
        data = self._unread
        self._position = end
        self.frames_received += 1
        if self._pieces:
            self._advance()
        return data, start, end

    def _has_pieces_of(self, size: int) -> bool:
        """Return whether the next frame, of this size, is complete but in pieces."""
        here_bytes = len(self._unread) - self._position
        return here_bytes < size <= here_bytes + self._pieces_bytes

    def _join_first(self, size: int) -> None:
        """Put the pieces of the next frame, of this size, together in `_unread`."""
        parts: list[bytes | memoryview] = [self._unread[self._position :]]
        missing_bytes = size - len(parts[0])
        self._pieces_bytes -= missing_bytes
        while missing_bytes:
            piece, at = self._pieces[0], self._first_piece_at
            part = memoryview(piece)[at : at + missing_bytes]
            parts.append(part)
            missing_bytes -= len(part)
            self._first_piece_at = at + len(part)
            if self._first_piece_at == len(piece):
                self._pieces.pop(0)
                self._first_piece_at = 0
        self._unread = b"".join(parts)
        self._position = 0

    def _advance(self) -> None:
        """Go on with the next piece, if not even the head of a frame is left."""
        while self._pieces and len(self._unread) - self._position < HEAD_SIZE:
            rest = self._unread[self._position :]
            piece, at = bytes(self._pieces.pop(0)), self._first_piece_at
            self._first_piece_at = 0
            self._pieces_bytes -= len(piece) - at
            if rest:
                self._unread, self._position = rest + piece[at:], 0
            else:
                self._unread, self._position = piece, at

    def _describe_length(self, length: int) -> str:
        detail = f"{length}, allowed is 0 to {self._max_body_bytes}"
        if self.frames_received:
            return detail
        start = self._position
        first_bytes = self._unread[start : start + SNIFFED_BYTES]
        protocol = sniff_protocol(first_bytes)
        return f"{detail}; it looks like {protocol}" if protocol else detail

    def drop_read(self, if_most: bool = False) -> None:
        """Free the frames that were read, and keep what follows them.

        Args:
            if_most: do so only if they are most of the bytes kept: what follows them
                is copied, and that must not happen for each slice of many frames.
        """
        position = self._position
        if position and not (if_most and 2 * position <= len(self._unread)):
            self._unread = self._unread[position:]
            self._position = 0

    @property
    def unread_bytes(self) -> int:
        """The number of unread bytes."""
        return len(self._unread) - self._position + self._pieces_bytes

    @property
    def unread(self) -> bytes:
        """The unread bytes; a new reader that is given them continues from here."""
        more = b"".join(self._pieces)[self._first_piece_at :]
        return self._unread[self._position :] + more

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
