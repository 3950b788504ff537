"""The initiating end of GSSAPI: pure-sasl over pykerberos, with a keytab's tickets.

pykerberos only uses tickets from the default cache, which can otherwise be changed only
in the environment.  So the `gssapi` package gets the tickets into a cache in this
process's memory.  For each call, MIT's library, which both share, is told that this is
the current thread's default cache.  No other thread or process is affected.

This module needs the extra `kerberos`; it is imported only if KERBEROS is configured.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Final

import gssapi
import kerberos  # type: ignore[import-not-found]  # a C extension
from gssapi.raw import krb5_ccache_name
from gssapi.raw.misc import GSSError
from puresasl import QOP, SASLError, SASLProtocolException
from puresasl.client import SASLClient

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.kerberos import METHOD
from pacemaker.sasl.login import KerberosLogin
from pacemaker.sasl.mechanism import ClientMechanismFactory

_cache_numbers = itertools.count(1)


_REFUSALS: Final = (
    SASLError,
    SASLProtocolException,
    kerberos.KrbError,
    GSSError,
    # pure-sasl tries to decode None if the server wrapped an empty message.
    TypeError,
)


class KerberosClient:
    """The client's half, with mutual authentication.

    Args:
        service: the first part of the server's principal.
        host: the second part, as in `pacemaker.servers`.
        tickets: the tickets to use.
    """

    name = METHOD
    begins_with_request = False
    completion_count = 2

    def __init__(self, service: str, host: str, tickets: TicketCache) -> None:
        self._target = (host.lower(), service)
        self._tickets = tickets
        self._sasl: SASLClient | None = None
        self._complete = False
        self._over = False

    def __repr__(self) -> str:
        return f"<KerberosClient complete={self.complete} over={self._over}>"

    @property
    def complete(self) -> bool:
        """Whether only the server's two -203 are still expected."""
        return self._complete

    def step(self, token: bytes) -> bytes:
        """Return the first token for the empty one, then answers to the server's.

        Raises:
            AuthenticationError: the KDC or the server refuses, or the token does not
                answer the last one; the exchange is over.
        """
        if self._over:
            raise AuthenticationError("no token is expected")
        self._over = True
        try:
            with self._tickets.as_default():
                reply = self._process(token)
        except _REFUSALS as exc:
            self._dispose()
            detail = " ".join(str(exc).split())
            raise AuthenticationError("GSSAPI failed", detail) from exc
        self._complete = self._over = bool(self._sasl and self._sasl.complete)
        if self._complete:
            self._dispose()
        return reply

    def _process(self, token: bytes) -> bytes:
        if self._sasl is not None:
            return bytes(self._sasl.process(token))
        host, service = self._target
        self._sasl = SASLClient(host, service, mechanism="GSSAPI", qops=[QOP.AUTH])
        return bytes(self._sasl.process(None))

    def _dispose(self) -> None:
        # pykerberos frees a context only on request.
        if self._sasl is not None:
            self._sasl.dispose()
            self._sasl = None


class TicketCache:
    """The tickets for one keytab's principal, in this process's memory."""

    def __init__(self, login: KerberosLogin) -> None:
        self._name = gssapi.Name(login.principal, gssapi.NameType.kerberos_principal)
        self._cache = f"MEMORY:storm-pacemaker-py-{next(_cache_numbers)}"
        self._store: dict[bytes | str, bytes | str] = {
            "client_keytab": f"FILE:{login.keytab}",
            "ccache": self._cache,
        }

    @contextlib.contextmanager
    def as_default(self) -> Iterator[None]:
        """Make this the thread's default cache, with unexpired tickets."""
        credentials = gssapi.Credentials(
            name=self._name, usage="initiate", store=self._store
        )
        # Asking for the lifetime makes the library get the tickets.
        _ = credentials.lifetime
        before = krb5_ccache_name(self._cache.encode())
        try:
            yield
        finally:
            krb5_ccache_name(before)


def client_factory(login: KerberosLogin) -> ClientMechanismFactory:
    """Return a factory of mechanisms, one for each connection to a host."""
    tickets = TicketCache(login)
    return lambda host: KerberosClient(login.service, host, tickets)
