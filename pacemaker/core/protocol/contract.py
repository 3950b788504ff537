"""The contract between a protocol object and its owner, which has the socket.

`receive_data`, `resume`, `finish_step` and `fail` return ``(chunks, wait)``.  The owner
sends the chunks, before those of any later call, and then does what `wait` says:

    REQUEST   read from the peer, and pass the bytes to `receive_data`, unless
              `fast_path` has answered them
    MORE      the same, with a deadline: a frame or a SASL exchange is incomplete
    ROOM      once everything is sent, call `resume`; do not read before
    TURN      serve the other connections, then call `resume`
    CREDIT    charge the account; once it has credit, call `resume`
    ANSWER    wait until the function passed to `call_on_release` is called; do not
              read before
    SASL_STEP call `run` of `sasl_step`, on any thread, and pass its outcome to
              `finish_step`
    END       close the connection once everything is sent

So the owner reads from the peer only in REQUEST and MORE.  It calls `fail` to end the
connection on its own initiative, and `close` once nobody will receive a reply any more.

**The fast path.**  Nearly everything that arrives is one pulse of a worker, or one read
of Nimbus.  `fast_path` answers these, with the same outcome as `receive_data` but in a
fraction of the time.  It is None unless the last call returned `Wait.REQUEST` with all
replies, and nothing is pending or unread, so an owner that has sent the replies may
always ask it first.  If it returns a reply, the owner sends it and waits for the next
request.  If it returns None, it has done nothing, and the owner calls `receive_data`.
If it raises a `PeerError`, the owner passes that to `fail`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeAlias


class Wait(Enum):
    """What a connection waits for after a call; see the module's docstring."""

    REQUEST = "request"
    MORE = "more"
    ROOM = "room"
    TURN = "turn"
    CREDIT = "credit"
    ANSWER = "answer"
    SASL_STEP = "SASL step"
    END = "end"


# The bytes to send, in a few chunks, and what to wait for.
Output: TypeAlias = tuple[Sequence[bytes], Wait]


class FastPath(Protocol):
    """What may answer bytes before anything else looks at them."""

    def answer_one(self, data: bytes) -> bytes | None:
        """Answer the bytes if they are one request of the usual kind.

        Args:
            data: the bytes; none at the end of the stream, which is no request.

        Returns:
            The reply, or None if nothing was done.

        Raises:
            PeerError: the request cannot be carried out.
        """
