"""One step of a SASL exchange, which any thread may take."""

from __future__ import annotations

from pacemaker.sasl.mechanism import ServerMechanism, StepOutcome, take_step


class SaslStep:
    """One pending SASL step.

    It may run on any thread: until its outcome is passed to
    `ServerProtocol.finish_step`, nothing else uses the mechanism and the token, and
    `run` touches no other state.

    Args:
        mechanism: takes the step; it is an attribute, too.
        token: the peer's token.
    """

    __slots__ = ("_token", "mechanism")

    def __init__(self, mechanism: ServerMechanism, token: bytes) -> None:
        self.mechanism = mechanism
        self._token = token

    @property
    def is_slow(self) -> bool:
        """Whether the step may take long."""
        return self.mechanism.is_slow

    @property
    def is_last(self) -> bool:
        """Whether the step has completed the exchange; only known once it has run."""
        return self.mechanism.complete

    def run(self) -> StepOutcome:
        """Take the step; return the token to send, if any, or why it has failed."""
        token, self._token = self._token, b""
        return take_step(self.mechanism, token)
