"""The accepting end of GSSAPI, by the `gssapi` package over MIT's library.

This module needs the extra `kerberos`; it is imported when KERBEROS is
configured and at no other time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import gssapi
from gssapi.raw.misc import GSSError

from pacemaker.errors import AuthenticationError, ConfigError

T = TypeVar("T")

REPLAY_CACHE = "replay.cache"


class GssAcceptor:
    """One context, accepted with the server's own keys."""

    def __init__(self, credentials: gssapi.Credentials) -> None:
        self._context = gssapi.SecurityContext(creds=credentials, usage="accept")
        # Or else an error comes one call late, behind a token that tells of it.
        # Set here because a subclass's own value is overwritten by its metaclass.
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
        """Take the peer's token and give the one to send, if there is one."""
        reply: bytes | None = _translated(lambda: self._context.step(token))
        return reply

    def wrap(self, message: bytes) -> bytes:
        """Protect a message's integrity, without encrypting it."""
        return _translated(lambda: self._context.wrap(message, False).message)

    def unwrap(self, token: bytes) -> bytes:
        """Check a protected message and give its content."""
        # MIT's library turns the message in the buffer that it is given, and
        # the package gives it that of the bytes object: not the caller's own.
        own = bytes(bytearray(token))
        return _translated(lambda: self._context.unwrap(own).message)


def acceptor_factory(
    principal: str, keytab: Path, state_directory: Path
) -> Callable[[], GssAcceptor]:
    """Take the server's keys into use; nothing of the environment is changed.

    Args:
        principal: the server's own, with its host.
        keytab: the file with the principal's keys; it is read anew for each
            context, so that keys may be changed while the server runs.
        state_directory: where the replay cache is; made if it is missing.

    Raises:
        ConfigError: there is no such key, or no private place for the cache.
    """
    _make_private(state_directory)
    try:
        credentials = gssapi.Credentials(
            name=gssapi.Name(principal, gssapi.NameType.kerberos_principal),
            usage="accept",
            mechs=[gssapi.MechType.kerberos],
            store={
                "keytab": f"FILE:{keytab}",
                "rcache": f"file2:{state_directory / REPLAY_CACHE}",
            },
        )
    except GSSError as exc:
        problem = f"no key of {principal}: {_one_line(exc)}"
        raise ConfigError(problem, source=str(keytab)) from exc
    return lambda: GssAcceptor(credentials)


def _make_private(directory: Path) -> None:
    """Make a folder that nobody else can look into, or find it to be such."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        # Not followed: in a shared folder the name may be another user's link.
        status = directory.lstat()
    except OSError as exc:
        problem = f"the replay cache has no folder: {exc.strerror}"
        raise ConfigError(problem, source=str(directory)) from exc
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.getuid():
        problem = "the replay cache needs a folder that is this user's alone (0700)"
        raise ConfigError(problem, source=str(directory))


def _translated(call: Callable[[], T]) -> T:
    try:
        return call()
    except GSSError as exc:
        raise AuthenticationError("GSSAPI refuses the token", _one_line(exc)) from exc


def _one_line(error: GSSError) -> str:
    return " ".join(error.gen_message().split())
