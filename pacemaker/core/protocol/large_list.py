"""The list of a large directory, written a slice at a time.

A list of a million names takes a second to write.  For a large directory, dispatch
therefore returns a `LargeList` instead of a message, and the connection takes one
`step` in each of its turns: a thousand names.

A client of Storm 2.x refuses a reply larger than `pacemaker.thrift.message.size.max`,
and retries forever.  So the list is cut off after the names that fit.  Nimbus deletes
the names that it does not know, so later lists reach the remaining ones.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from pacemaker.wire import fast_codec, messages
from pacemaker.wire.messages import Message, quoted

_logger: Final = logging.getLogger(__name__)

# A directory of more names than this is listed in slices.  No Storm cluster has that
# many topologies.
LARGE_LIST_NAMES: Final = 1_000
# The names of one step, which takes less than half a millisecond: a name has at most
# `MAX_SEGMENT_BYTES`.
NAMES_PER_STEP: Final = 1_000


class LargeList:
    """The reply to one GET_ALL_NODES_FOR_PATH.

    Args:
        path: the directory.
        slices: the names of the directory, in batches.
        count: the approximate number of names.
        message_id: the message id of the request.
        max_body_bytes: the size of the largest reply.
        seen: names that the slices must not give again; its memory is the list's.

    Attributes:
        size_bytes: the size of the names written so far.
    """

    def __init__(
        self,
        path: str,
        slices: Iterator[list[str]],
        count: int,
        message_id: int,
        max_body_bytes: int,
        seen: AbstractSet[str] = frozenset(),
    ) -> None:
        self._path = path
        self._slices = slices
        self._count = count
        self._message_id = message_id
        self._max_bytes = max_body_bytes - fast_codec.NODES_OVERHEAD_BYTES
        self._seen = seen
        self._names: list[str] = []
        self._given = 0
        self._left_out = 0
        self._chunks: list[bytes] = []
        self.size_bytes = 0

    def __repr__(self) -> str:
        return f"<LargeList {quoted(self._path)} given={self._given} of={self._count}>"

    @property
    def memory_bytes(self) -> int:
        """The memory that the list takes so far."""
        return self.size_bytes + (sys.getsizeof(self._seen) if self._seen else 0)

    @property
    def request_frame(self) -> bytes:
        """The request as a frame, for a process that carries the connection on."""
        kind = messages.GET_ALL_NODES_FOR_PATH
        return messages.encode(Message(kind, self._path, self._message_id))

    def step(self) -> list[bytes] | None:
        """Write some names.

        Returns:
            The reply as the chunks of a frame once it is complete; None until then.
        """
        names = self._next_names()
        if not names:
            return self._finish()
        data = fast_codec.encode_names(names)
        if self.size_bytes + len(data) <= self._max_bytes:
            self.size_bytes += len(data)
            self._given += len(names)
            self._chunks.append(data)
        else:
            self._write_what_fits(names)
        return None

    def _next_names(self) -> list[str]:
        """Take the names of one step; none at the end."""
        names = self._names
        while len(names) < NAMES_PER_STEP:
            more = next(self._slices, None)
            if more is None:
                break
            names += more
        taken = names[-NAMES_PER_STEP:]
        del names[-NAMES_PER_STEP:]
        return taken

    def _write_what_fits(self, names: Sequence[str]) -> None:
        parts = [part for name in names if (part := self._name_part(name))]
        self._given += len(parts)
        self._chunks.append(b"".join(parts))
        if self._max_bytes - self.size_bytes < fast_codec.SMALLEST_NAME_BYTES:
            self._left_out += len(self._names)
            self._names = []
            self._slices = iter(())

    def _name_part(self, name: str) -> bytes | None:
        """Write a name, if there is room for it."""
        part = fast_codec.encode_names((name,))
        if self.size_bytes + len(part) > self._max_bytes:
            self._left_out += 1
            return None
        self.size_bytes += len(part)
        return part

    def _finish(self) -> list[bytes]:
        if self._left_out:
            _logger.warning(
                "list of %s cut to %d of %d names: no client takes more than %d bytes"
                " (pacemaker.thrift.message.size.max)",
                quoted(self._path),
                self._given,
                max(self._count, self._given + self._left_out),
                self._max_bytes + fast_codec.NODES_OVERHEAD_BYTES,
            )
        head, tail = fast_codec.encode_around_names(
            self._given, self.size_bytes, self._message_id
        )
        return [head, *self._chunks, tail]
