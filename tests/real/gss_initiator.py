"""The initiating end of GSSAPI for tests: it can ask for what no client would."""

from __future__ import annotations

import itertools
from pathlib import Path

import gssapi
from gssapi.raw.misc import GSSError

from pacemaker.errors import AuthenticationError

_cache_numbers = itertools.count(1)

AUTHENTICATION_ONLY = b"\x01\x00\x00\x00"

_FLAGS = (
    gssapi.RequirementFlag.integrity
    | gssapi.RequirementFlag.replay_detection
    | gssapi.RequirementFlag.out_of_sequence_detection
)


class GssInitiator:
    """A client's half of SASL GSSAPI (RFC 4752), each part of it at will.

    Args:
        principal: who to be, with its realm.
        keytab: its keys.
        target: the server's principal.
        mutual: whether to ask for mutual authentication.
        choice: what to answer the offer with: protection, size and authzid.
        mech: the mechanism, Kerberos or one that wraps it.
    """

    name = "KERBEROS"
    begins_with_request = False
    completion_count = 2

    def __init__(
        self,
        principal: str,
        keytab: Path,
        target: str,
        *,
        mutual: bool = False,
        choice: bytes = AUTHENTICATION_ONLY,
        mech: gssapi.OID = gssapi.MechType.kerberos,
    ) -> None:
        kind = gssapi.NameType.kerberos_principal
        # A cache per exchange: its tickets go when the test's process does.
        cache = f"MEMORY:test-{next(_cache_numbers)}"
        credentials = gssapi.Credentials(
            name=gssapi.Name(principal, kind),
            usage="initiate",
            store={"client_keytab": f"FILE:{keytab}", "ccache": cache},
        )
        self._context = gssapi.SecurityContext(
            name=gssapi.Name(target, kind),
            creds=credentials,
            usage="initiate",
            mech=mech,
            flags=_FLAGS | gssapi.RequirementFlag.mutual_authentication
            if mutual
            else _FLAGS,
        )
        self._choice = choice
        self._mutual_done = not mutual
        self._started = False
        self.complete = False

    def step(self, token: bytes) -> bytes:
        """Take the server's token and give the one to send."""
        try:
            return self._step(token)
        except GSSError as exc:
            raise AuthenticationError("GSSAPI cannot go on", str(exc)) from exc

    def _step(self, token: bytes) -> bytes:
        if not self._started:
            self._started = True
            return self._context.step() or b""
        if not self._mutual_done:
            self._mutual_done = True
            return self._context.step(token) or b""
        self._context.unwrap(token)
        self.complete = True
        return self._context.wrap(self._choice, False).message
