"""KERBEROS: SASL GSSAPI (RFC 4752) as Storm's server does it, over any GSSAPI.

The client's token comes first.  Once the context is established the server
offers, wrapped, a choice of protections, of which there is one: authentication
alone.  The client answers, wrapped, with its choice and the name that it wants
to act as.

    NEGOTIATING ── established, a token to send ──▶ EMPTY_DUE
         │ established, nothing to send                 │ empty token
         └───────────────▶ CHOICE_DUE ◀─────────────────┘
                               │ choice and name are right
                               ▼
                            COMPLETE

The JDK's clients ask for no mutual authentication and take the short way,
pure-sasl the long one.
"""

from __future__ import annotations

import enum
import re
from typing import Protocol

from pacemaker.errors import AuthenticationError

METHOD = "KERBEROS"

AUTHENTICATION_ONLY = 1
"""The protection without a security layer (RFC 4752, 3.3)."""

OFFER = bytes([AUTHENTICATION_ONLY]) + (65536).to_bytes(3, "big")
"""The protections offered and a largest message, which has no meaning without
a layer; 64 KiB is what the JDK says."""


class Acceptor(Protocol):
    """The accepting end of one GSSAPI context.

    Every method raises AuthenticationError, and nothing else, for a token that
    GSSAPI refuses.
    """

    @property
    def established(self) -> bool:
        """Whether the peer has been authenticated."""

    @property
    def peer(self) -> str:
        """The peer's full principal, once established."""

    def accept(self, token: bytes) -> bytes | None:
        """Take the peer's token and give the one to send, if there is one."""

    def wrap(self, message: bytes) -> bytes:
        """Protect a message's integrity."""

    def unwrap(self, token: bytes) -> bytes:
        """Check a protected message and give its content."""


class KerberosServer:
    """The server's half (Storm's KerberosSaslNettyServer).

    Args:
        acceptor: a fresh GSSAPI context.
        authorised_user: `nimbus.daemon.user`; nobody is authorised without.
    """

    name = METHOD
    begins_with_request = False
    completion_count = 2
    is_slow = True

    def __init__(self, acceptor: Acceptor, authorised_user: str | None) -> None:
        self._acceptor = acceptor
        self._authorised_user = authorised_user
        self._state = _State.NEGOTIATING
        self._user: str | None = None

    def __repr__(self) -> str:
        return f"<KerberosServer {self._state.name}>"

    @property
    def complete(self) -> bool:
        """Whether the client is authenticated and authorised."""
        return self._state is _State.COMPLETE

    @property
    def user(self) -> str | None:
        """The client's full principal, once complete."""
        return self._user if self.complete else None

    def step(self, token: bytes) -> bytes | None:
        """Take the client's token and give the one to send, if one is due.

        Raises:
            AuthenticationError: the token is refused, or its sender is not the
                authorised user; the exchange is over.
        """
        state, self._state = self._state, _State.OVER
        if state is _State.NEGOTIATING:
            return self._negotiate(token)
        if state is _State.EMPTY_DUE:
            if token:
                raise AuthenticationError("an empty token is expected")
            return self._offer()
        if state is _State.CHOICE_DUE:
            self._judge(token)
            return None
        raise AuthenticationError("no token is expected")

    def _negotiate(self, token: bytes) -> bytes:
        reply = self._acceptor.accept(token)
        if not self._acceptor.established:
            self._state = _State.NEGOTIATING
            return reply or b""
        if reply:
            self._state = _State.EMPTY_DUE
            return reply
        return self._offer()

    def _offer(self) -> bytes:
        self._state = _State.CHOICE_DUE
        return self._acceptor.wrap(OFFER)

    def _judge(self, token: bytes) -> None:
        choice = self._acceptor.unwrap(token)
        if len(choice) < len(OFFER) or choice[0] != AUTHENTICATION_ONLY:
            raise AuthenticationError("the client chose a protection not offered")
        peer = self._acceptor.peer
        acts_as = choice[len(OFFER) :]
        if acts_as and acts_as != peer.encode():
            raise AuthenticationError("asks to act as another user", peer)
        if not is_authorised(peer, self._authorised_user):
            raise AuthenticationError("not nimbus.daemon.user", peer)
        self._user = peer
        self._state = _State.COMPLETE


def is_authorised(principal: str, daemon_user: str | None) -> bool:
    """Tell whether a principal is the daemons' user, by Storm's rule.

    The part before the first "/" or "@" decides (KerberosPrincipalToLocal);
    neither host nor realm is looked at.
    """
    return bool(daemon_user) and re.split("[/@]", principal)[0] == daemon_user


class _State(enum.Enum):
    NEGOTIATING = enum.auto()
    EMPTY_DUE = enum.auto()
    CHOICE_DUE = enum.auto()
    COMPLETE = enum.auto()
    OVER = enum.auto()
    """Where a step starts from, and ends unless it says otherwise."""
