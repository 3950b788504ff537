"""The interface to the requests of a connection that are answered later.

`core.protocol.held_reads` implements it for a Pacemaker, whose misses are held after a
start, and `relay.backend` for a relay, whose requests other Pacemakers answer.
Both use these words:

    pending   `answer_later` has accepted the request
    released  it can be answered now: `on_release` is called, and `next_released`
              returns it once the connection has room for a reply
    dropped   nobody wants the answer any more: the connection has ended (`drop_all`),
              or another request has the same message id (`supersede`)

A *held* request is one that waits for something to happen: in a Pacemaker every pending
read, until its key is stored; in a relay a read that no Pacemaker can answer yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pacemaker.wire.messages import Message


class PendingRequests(Protocol):
    """The requests of one connection that are answered later."""

    on_release: Callable[[], None]

    @property
    def is_over(self) -> bool:
        """Whether nothing waits for an answer and nothing will."""

    @property
    def request_frames(self) -> bytes:
        """The requests as frames, for a process that carries the connection on."""

    @property
    def ack_frames(self) -> bytes:
        """The replies to requests that such a process need not carry out again."""

    @property
    def answers_bytes(self) -> int:
        """The memory of the answers to released requests, if it counts nowhere else."""

    def begin_batch(self) -> None:
        """Forget what the last batch answered."""

    def note_answered(self, message_id: int, chunks: range) -> None:
        """Record that a read of this batch was answered, and with which chunks."""

    def supersede(self, message: Message) -> range:
        """Drop an earlier request with the id of a new one; see `HeldReads`."""

    def answer_later(self, message: Message, authenticated: bool) -> bool:
        """Let a request be answered later; return False to answer it now."""

    def next_released(self) -> Message | None:
        """Remove and return a request that has to be answered now, or None."""

    def drop_all(self) -> None:
        """Drop everything, because the connection has ended."""
