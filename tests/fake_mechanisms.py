"""SASL mechanisms for tests: small ones that do what their script says."""

from __future__ import annotations

from collections.abc import Sequence

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.mechanism import ServerMechanism

REFUSED = b"wrong"


class ScriptedMechanism:
    """Answers one token after another as its script says, and is then complete.

    It holds to the contract of `ServerMechanism`: a token that is `REFUSED`
    raises AuthenticationError, and so does a step after the end.

    Args:
        answers: what each step gives.
        begins_with_request: whether the client asks for the first token.
        completion_count: how many -203 follow.
        is_slow: whether a step may take long.
    """

    name = "SCRIPTED"

    def __init__(
        self,
        answers: Sequence[bytes | None],
        *,
        begins_with_request: bool,
        completion_count: int,
        is_slow: bool = False,
    ) -> None:
        self.begins_with_request = begins_with_request
        self.completion_count = completion_count
        self.is_slow = is_slow
        self.tokens_rcvd: list[bytes] = []
        self._answers = list(answers)

    @property
    def complete(self) -> bool:
        """Whether the script has come to its end."""
        return not self._answers

    @property
    def user(self) -> str | None:
        """The one user there is, once the exchange is complete."""
        return "nimbus" if self.complete else None

    def step(self, token: bytes) -> bytes | None:
        """Give the next answer of the script."""
        self.tokens_rcvd.append(token)
        if token == REFUSED or not self._answers:
            raise AuthenticationError("refused by the script")
        return self._answers.pop(0)


def like_digest() -> ScriptedMechanism:
    """Request, challenge, response, rspauth, one -203."""
    return ScriptedMechanism(
        [b"challenge", b"rspauth"], begins_with_request=True, completion_count=1
    )


def like_kerberos() -> ScriptedMechanism:
    """Token, offer, token, nothing, two -203; its steps are slow."""
    return ScriptedMechanism(
        [b"offer", None], begins_with_request=False, completion_count=2, is_slow=True
    )


def like_mutual_kerberos() -> ScriptedMechanism:
    """Three tokens of the client's, two of the server's."""
    return ScriptedMechanism(
        [b"AP-REP", b"offer", None],
        begins_with_request=False,
        completion_count=2,
        is_slow=True,
    )


_: ServerMechanism = like_digest()
