"""A GSSAPI context without Kerberos: who may send what and when, without keys."""

from __future__ import annotations

from pacemaker.errors import AuthenticationError

WRAPPED = b"wrapped:"


def wrap(message: bytes) -> bytes:
    """Protect a message as the fake does."""
    return WRAPPED + message


class FakeAcceptor:
    """Takes `ap-req:PRINCIPAL`, after any number of `round`s.

    Args:
        mutual: whether it answers that token with one of its own, as GSSAPI does
            where the client asks for mutual authentication.
    """

    def __init__(self, mutual: bool) -> None:
        self._mutual = mutual
        self._peer = ""

    @property
    def established(self) -> bool:
        """Whether the peer has been authenticated."""
        return bool(self._peer)

    @property
    def peer(self) -> str:
        """The peer's full principal."""
        return self._peer

    def accept(self, token: bytes) -> bytes | None:
        """Take the peer's token and give the one to send, if there is one."""
        kind, _, principal = token.partition(b":")
        if kind == b"round":
            return b"another round"
        if kind != b"ap-req" or not principal.isascii() or not principal:
            raise AuthenticationError("the fake refuses the token")
        self._peer = principal.decode()
        return b"ap-rep" if self._mutual else None

    def wrap(self, message: bytes) -> bytes:
        """Protect a message."""
        return wrap(message)

    def unwrap(self, token: bytes) -> bytes:
        """Check a protected message and give its content."""
        if not token.startswith(WRAPPED):
            raise AuthenticationError("the fake refuses the message")
        return token.removeprefix(WRAPPED)
