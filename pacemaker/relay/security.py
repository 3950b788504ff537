"""How a relay authenticates Storm's clients, and itself to the Pacemakers.

Towards Storm's clients it does what `serve` does, if it has the credentials for it.
Only Nimbus reads, so only a relay next to Nimbus needs any.  On a worker's host the
relay is *write-only*: it passes heartbeats on, answers every read with NOT_AUTHORIZED,
and closes a connection that tries to authenticate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pacemaker.config import AuthMethod, Settings
from pacemaker.errors import NoCredentialsError, ServerFaultError
from pacemaker.sasl import login
from pacemaker.sasl.mechanism import ClientMechanismFactory
from pacemaker.sasl.secret import Secret
from pacemaker.sasl.setup import (
    ServerSasl,
    set_up_client,
    set_up_server,
)

# With KERBEROS a client asks for a ticket for the name in `pacemaker.servers`.  That is
# localhost for a relay, and the host's own name for the Pacemaker on the same host.
_SECTIONS: Final = ("PacemakerRelay", "PacemakerServer")


@dataclass(frozen=True, slots=True)
class RelaySasl:
    """How a relay authenticates, in both directions.

    Attributes:
        server: for Storm's clients.
        client_factory: for the relay's own reads; None if it need not authenticate.
        notes: warnings for the administrator, without secrets.
    """

    server: ServerSasl
    client_factory: ClientMechanismFactory | None
    notes: tuple[str, ...] = ()


def relay_sasl(settings: Settings) -> RelaySasl:
    """Set up a relay's mechanisms for the configured method.

    Raises:
        ConfigError: there are credentials, but they cannot be used.
    """
    try:
        server = _server_sasl(settings)
        client = set_up_client(settings)
    except NoCredentialsError as exc:
        method = settings.auth_method
        note = (
            f"no credentials for {method.value} on this host ({exc}): this relay passes"
            " heartbeats on, but lets nobody read"
        )
        identity = Secret(f"write-only\0{method.value}")
        server = ServerSasl(lambda: WriteOnlyMechanism(method), (), identity)
        return RelaySasl(server, None, (note,))
    notes = dict.fromkeys((*server.notes, *client.notes))
    return RelaySasl(server, client.factory, tuple(notes))


def _server_sasl(settings: Settings) -> ServerSasl:
    if settings.auth_method is not AuthMethod.KERBEROS:
        return set_up_server(settings)
    try:
        return _kerberos_sasl(settings, _SECTIONS[0])
    except NoCredentialsError:
        return _kerberos_sasl(settings, _SECTIONS[1])


def _kerberos_sasl(settings: Settings, section: str) -> ServerSasl:
    # Look for the credentials first: without them, the packages are not needed either.
    properties = login.java_properties(settings.java_properties)
    login.read_kerberos_server_login(settings.jaas_file, properties, section)
    return set_up_server(settings, kerberos_section=section)


class WriteOnlyMechanism:
    """A server's mechanism that refuses every token, because it has no credentials.

    Args:
        method: the method that the clients use.
    """

    is_slow = False
    complete = False
    completion_count = 0
    user = None

    def __init__(self, method: AuthMethod) -> None:
        self._method = method

    @property
    def name(self) -> str:
        """The method's name."""
        return self._method.value

    @property
    def begins_with_request(self) -> bool:
        """Whether the client requests the first token."""
        return self._method is AuthMethod.DIGEST

    def step(self, token: bytes) -> bytes | None:
        """Refuse a token without judging it.

        Raises:
            ServerFaultError: always.
        """
        raise ServerFaultError(
            "this relay has no credentials, so nobody can authenticate to it",
            "give it a JAAS file if Nimbus uses it",
        )
