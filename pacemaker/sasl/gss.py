"""The accepting end of GSSAPI: the `gssapi` package over MIT's library.

This module needs the extra `kerberos`; it is imported only if KERBEROS is configured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import gssapi
from gssapi.raw.misc import GSSError

from pacemaker.errors import AuthenticationError, ConfigError, ServerFaultError
from pacemaker.sasl.replay_cache import ReplayCache

T = TypeVar("T")

OUR_FAULT: Final = "a problem on this server, not with the client"

# A minor code below this is an errno of the operating system: a file could not be used,
# and every file involved belongs to this server.
_ERRNO_END: Final = 4096
# KRB5_KEYTAB_BADVNO, as the package reports it: the file is not a keytab.
_KEYTAB_BADVNO: Final = -1765328171 & 0xFFFFFFFF


class GssAcceptor:
    """One context, accepted with the server's own keys.

    Args:
        credentials: the server's credentials.
        keytab: the file with their keys.
        cache: the replay cache.
    """

    def __init__(
        self, credentials: gssapi.Credentials, keytab: Path, cache: ReplayCache
    ) -> None:
        self._keytab = keytab
        self._cache = cache
        self._context = gssapi.SecurityContext(creds=credentials, usage="accept")
        # Otherwise the package returns a token that reports the error, and raises the
        # error only at the next call.
        # Set on the instance because the metaclass overwrites a subclass's value.
        self._context.__DEFER_STEP_ERRORS__ = False  # type: ignore[attr-defined]

    @property
    def established(self) -> bool:
        """Whether the peer has been authenticated."""
        return _translated(lambda: bool(self._context.complete))

    @property
    def peer(self) -> str:
        """The peer's full principal."""
        name = _translated(lambda: bytes(self._context.initiator_name))
        try:
            return name.decode()
        except UnicodeDecodeError as exc:
            raise AuthenticationError("the principal is not UTF-8") from exc

    def accept(self, token: bytes) -> bytes | None:
        """Process the peer's token; return the one to send, if any.

        Raises:
            ServerFaultError: the token could not be checked because of a file.
            AuthenticationError: the token is refused.
        """
        # Checked each time: a clean-up of old files may have removed the folder.
        problem = self._cache.folder_problem()
        if problem is not None:
            raise ServerFaultError(OUR_FAULT, problem)
        try:
            reply: bytes | None = self._context.step(token)
        except GSSError as exc:
            problem = self._problem(exc)
            if problem is not None:
                raise ServerFaultError(OUR_FAULT, problem) from exc
            raise _refusal(exc) from exc
        return reply

    def _problem(self, error: GSSError) -> str | None:
        """Return this server's problem; None if the error is about the token."""
        keytab_problem = _keytab_problem(self._keytab)
        # Write only now: a refused client causes no writes.
        if 0 < error.min_code < _ERRNO_END:
            return self._cache.problem() or keytab_problem or _one_line(error)
        if keytab_problem is None and error.min_code == _KEYTAB_BADVNO:
            return f"the keytab {self._keytab}: {_one_line(error)}"
        return keytab_problem

    def wrap(self, message: bytes) -> bytes:
        """Protect a message's integrity, without encrypting it."""
        return _translated(lambda: self._context.wrap(message, False).message)

    def unwrap(self, token: bytes) -> bytes:
        """Check a protected message and return its content."""
        # MIT's library modifies the buffer that it is given, and the package passes
        # the bytes object's own buffer; so pass a copy, not the caller's object.
        own = bytes(bytearray(token))
        return _translated(lambda: self._context.unwrap(own).message)


def acceptor_factory(
    principal: str, keytab: Path, cache: ReplayCache
) -> Callable[[], GssAcceptor]:
    """Load the server's keys, without changing the environment.

    Args:
        principal: the server's principal, with its host.
        keytab: the file with the principal's keys.  It is read again for each context,
            so that keys may be changed while the server runs.
        cache: the replay cache; its folder is created if it is missing.

    Raises:
        ConfigError: the keytab lacks the key, or the cache cannot be written.
    """
    problem = cache.problem()
    if problem is not None:
        raise ConfigError(problem, source="KERBEROS")
    try:
        credentials = gssapi.Credentials(
            name=gssapi.Name(principal, gssapi.NameType.kerberos_principal),
            usage="accept",
            mechs=[gssapi.MechType.kerberos],
            store={"keytab": f"FILE:{keytab}", **cache.store},
        )
    except GSSError as exc:
        problem = f"no key of {principal}: {_one_line(exc)}"
        raise ConfigError(problem, source=str(keytab)) from exc
    return lambda: GssAcceptor(credentials, keytab, cache)


def _keytab_problem(keytab: Path) -> str | None:
    try:
        with keytab.open("rb"):
            return None
    except OSError as exc:
        return f"the keytab {keytab} cannot be read: {exc.strerror}"


def _translated(call: Callable[[], T]) -> T:
    try:
        return call()
    except GSSError as exc:
        raise _refusal(exc) from exc


def _refusal(error: GSSError) -> AuthenticationError:
    return AuthenticationError("GSSAPI refuses the token", _one_line(error))


def _one_line(error: GSSError) -> str:
    return " ".join(error.gen_message().split())
