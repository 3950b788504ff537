"""The state of a connection's protocol, from which another process can continue it."""

from __future__ import annotations

from typing import NamedTuple


class ProtocolSnapshot(NamedTuple):
    """The state of one connection's protocol, between two requests.

    Attributes:
        authenticated: whether it may read.
        may_authenticate: whether a SASL exchange may still begin on it.
        user: the authenticated user; None if nobody has authenticated.
        unread: bytes that were received but not read yet.  The held reads and the
            request whose list is being written come first, as frames: the next
            process carries them out again.
        unsent: bytes that must still be sent.
    """

    authenticated: bool
    may_authenticate: bool
    user: str | None
    unread: bytes
    unsent: bytes
