"""The interface between a SASL mechanism and the connection that carries its tokens.

A mechanism holds the state of one exchange and does no I/O: tokens go in, tokens come
out.  The caller carries the tokens, ends the connection and writes the log.  For
invalid bytes, either half raises `AuthenticationError` and nothing else; after that the
object cannot be used again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from pacemaker.errors import AuthenticationError


class ServerMechanism(Protocol):
    """The server's half of one exchange (Storm's SaslNettyServer and its kin)."""

    @property
    def name(self) -> str:
        """The method's name, as in `pacemaker.auth.method`."""

    @property
    def begins_with_request(self) -> bool:
        """Whether the client requests the first token instead of sending one.

        If so, the exchange begins with control -202, which counts as an empty token,
        and the first step returns the challenge.
        """

    @property
    def completion_count(self) -> int:
        """How many controls -203 tell the client that the exchange is complete."""

    @property
    def is_slow(self) -> bool:
        """Whether a step may take long; such steps never run on an I/O thread."""

    @property
    def complete(self) -> bool:
        """Whether the client has been authenticated and authorised."""

    @property
    def user(self) -> str | None:
        """The authenticated user; None until the exchange is complete."""

    def step(self, token: bytes) -> bytes | None:
        """Process the client's token; return the one to send, if any.

        Raises:
            AuthenticationError: the token is refused; nothing may be sent after it.
        """


class ClientMechanism(Protocol):
    """The client's half of one exchange."""

    @property
    def name(self) -> str:
        """The method's name, as in `pacemaker.auth.method`."""

    @property
    def begins_with_request(self) -> bool:
        """Whether the exchange begins with control -202 instead of a token."""

    @property
    def completion_count(self) -> int:
        """How many controls -203 follow the last token."""

    @property
    def complete(self) -> bool:
        """Whether only the server's -203 are still expected."""

    def step(self, token: bytes) -> bytes | None:
        """Process the server's token; return the one to send, if any.

        If the exchange does not begin with a request, the first step takes an empty
        token and returns the first one to send.

        Raises:
            AuthenticationError: the server's token is refused, or this side has no
                credentials to continue with.
        """


# The token to send, None if there is none, or the refusal that ends the exchange.
StepOutcome: TypeAlias = bytes | AuthenticationError | None


def take_step(
    mechanism: ServerMechanism | ClientMechanism | None, token: bytes
) -> StepOutcome:
    """Take one step on any thread, and return its outcome to pass back.

    A refusal is returned and not raised: it belongs to the thread of the connection,
    which did not call this.

    Args:
        mechanism: the half of the exchange; not None while a step is pending.
        token: the peer's token.
    """
    assert mechanism is not None  # noqa: S101  (the phase says so)
    try:
        return mechanism.step(token)
    except AuthenticationError as exc:
        return exc


MechanismFactory = Callable[[], ServerMechanism]
# Called with the host, as in `pacemaker.servers`.
ClientMechanismFactory = Callable[[str], ClientMechanism]
