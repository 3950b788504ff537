"""What a SASL mechanism is to the connection that carries its tokens.

A mechanism holds the state of one exchange and does no I/O: tokens go in,
tokens come out.  Who carries them, when the connection ends and what is logged
is the caller's business.  Either half raises `AuthenticationError` and nothing
else, whatever the bytes; after that the object is spent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class ServerMechanism(Protocol):
    """The server's half of one exchange (Storm's SaslNettyServer and its kin)."""

    @property
    def name(self) -> str:
        """The method, as `pacemaker.auth.method` has it."""

    @property
    def begins_with_request(self) -> bool:
        """Whether the client asks for the first token instead of sending one.

        If so the exchange begins with control -202, which stands for the empty
        token, and the first step gives the challenge.
        """

    @property
    def completion_count(self) -> int:
        """How many controls -203 tell the client that the exchange is complete."""

    @property
    def is_slow(self) -> bool:
        """Whether a step may take long: such a one never runs on an I/O thread."""

    @property
    def complete(self) -> bool:
        """Whether the client has been authenticated, and authorised."""

    @property
    def user(self) -> str | None:
        """Who was authenticated; None until the exchange is complete."""

    def step(self, token: bytes) -> bytes | None:
        """Take the client's token and give the one to send, if one is due.

        Raises:
            AuthenticationError: the token is refused; nothing may be sent after it.
        """


class ClientMechanism(Protocol):
    """The client's half of one exchange."""

    @property
    def name(self) -> str:
        """The method, as `pacemaker.auth.method` has it."""

    @property
    def begins_with_request(self) -> bool:
        """Whether the exchange begins with control -202 instead of a token."""

    @property
    def completion_count(self) -> int:
        """How many controls -203 follow the last token."""

    @property
    def complete(self) -> bool:
        """Whether nothing more is expected of the server but its -203."""

    def step(self, token: bytes) -> bytes | None:
        """Take the server's token and give the one to send, if one is due.

        Where the exchange does not begin with a request, the first step takes
        the empty token and gives the first one to send.

        Raises:
            AuthenticationError: the server's token is refused, or this side
                has no credentials to go on with.
        """


MechanismFactory = Callable[[], ServerMechanism]
ClientMechanismFactory = Callable[[str], ClientMechanism]
"""Takes the host, as `pacemaker.servers` has it."""
