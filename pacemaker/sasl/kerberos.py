"""KERBEROS: SASL GSSAPI (RFC 4752) as in Storm's server, over any GSSAPI.

The client sends the first token.  Once the context is established, the server offers
the available protections in a wrapped message; there is only one: authentication
without a security layer.  The client answers, also wrapped, with its choice and the
name that it wants to act as.

    NEGOTIATING ── established, a token to send ──▶ EMPTY_EXPECTED
         │ established, nothing to send                 │ empty token
         └─────────────▶ CHOICE_EXPECTED ◀──────────────┘
                               │ choice and name are right
                               ▼
                            COMPLETE

The JDK's clients do not request mutual authentication and take the short path;
pure-sasl takes the long one.
"""

from __future__ import annotations

import enum
import re
from typing import Final, Protocol

from pacemaker.errors import AuthenticationError

METHOD: Final = "KERBEROS"

# The protection without a security layer (RFC 4752, 3.3).
AUTHENTICATION_ONLY: Final = 1

# The offered protections and a maximum message size.  The size means nothing without a
# layer; the JDK sends 64 KiB.
OFFER: Final = bytes([AUTHENTICATION_ONLY]) + (65536).to_bytes(3, "big")


class Acceptor(Protocol):
    """The accepting end of one GSSAPI context.

    Every method raises only AuthenticationError for a token that GSSAPI refuses.
    """

    @property
    def established(self) -> bool:
        """Whether the peer has been authenticated."""

    @property
    def peer(self) -> str:
        """The peer's full principal, once established."""

    def accept(self, token: bytes) -> bytes | None:
        """Process the peer's token; return the one to send, if any."""

    def wrap(self, message: bytes) -> bytes:
        """Protect a message's integrity."""

    def unwrap(self, token: bytes) -> bytes:
        """Check a protected message and return its content."""


class KerberosServer:
    """The server's half (Storm's KerberosSaslNettyServer).

    Args:
        acceptor: a fresh GSSAPI context.
        authorised_user: `nimbus.daemon.user`; if None, nobody is authorised.
    """

    name = METHOD
    begins_with_request = False
    completion_count = 2
    is_slow = True

    def __init__(self, acceptor: Acceptor, authorised_user: str | None) -> None:
        self._acceptor = acceptor
        self._authorised_user = authorised_user
        self._phase = _Phase.NEGOTIATING
        self._user: str | None = None

    def __repr__(self) -> str:
        return f"<KerberosServer {self._phase.name}>"

    @property
    def complete(self) -> bool:
        """Whether the client is authenticated and authorised."""
        return self._phase is _Phase.COMPLETE

    @property
    def user(self) -> str | None:
        """The client's full principal, once complete."""
        return self._user if self.complete else None

    def step(self, token: bytes) -> bytes | None:
        """Process the client's token; return the one to send, if any.

        Raises:
            AuthenticationError: the token is refused, or its sender is not the
                authorised user; the exchange is over.
        """
        phase, self._phase = self._phase, _Phase.OVER
        if phase is _Phase.NEGOTIATING:
            return self._negotiate(token)
        if phase is _Phase.EMPTY_EXPECTED:
            if token:
                raise AuthenticationError("an empty token is expected")
            return self._offer()
        if phase is _Phase.CHOICE_EXPECTED:
            self._judge(token)
            return None
        raise AuthenticationError("no token is expected")

    def _negotiate(self, token: bytes) -> bytes:
        reply = self._acceptor.accept(token)
        if not self._acceptor.established:
            self._phase = _Phase.NEGOTIATING
            return reply or b""
        if reply:
            self._phase = _Phase.EMPTY_EXPECTED
            return reply
        return self._offer()

    def _offer(self) -> bytes:
        self._phase = _Phase.CHOICE_EXPECTED
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
        self._phase = _Phase.COMPLETE


def is_authorised(principal: str, daemon_user: str | None) -> bool:
    """Return whether a principal is the daemons' user, by Storm's rule.

    Only the part before the first "/" or "@" counts (KerberosPrincipalToLocal); host
    and realm are ignored.
    """
    return bool(daemon_user) and re.split("[/@]", principal)[0] == daemon_user


class _Phase(enum.Enum):
    NEGOTIATING = enum.auto()
    EMPTY_EXPECTED = enum.auto()
    CHOICE_EXPECTED = enum.auto()
    COMPLETE = enum.auto()
    OVER = enum.auto()
    """Set at the start of each step, and kept unless the step succeeds."""
