"""Set up SASL for a method of authentication, such as DIGEST."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

from pacemaker.errors import ConfigError, how_to_install
from pacemaker.sasl import login
from pacemaker.sasl.digest import DigestClient, DigestServer
from pacemaker.sasl.kerberos import KerberosServer
from pacemaker.sasl.mechanism import ClientMechanismFactory, MechanismFactory
from pacemaker.sasl.replay_cache import find_replay_cache
from pacemaker.sasl.secret import Secret

M = TypeVar("M")

# The name of a DIGEST client without a topology (PacemakerClient).
DEFAULT_CLIENT_NAME: Final = "pacemaker-client"

INSTALL_KERBEROS: Final = (
    f"KERBEROS needs packages that are not installed: {how_to_install('kerberos')}"
)


class SaslSettings(Protocol):
    """The part of the configuration that is used here."""

    @property
    def auth_method(self) -> _AuthMethod:
        """pacemaker.auth.method; only its name is used."""

    @property
    def jaas_file(self) -> Path | None:
        """java.security.auth.login.config."""

    @property
    def java_properties(self) -> tuple[tuple[str, str], ...]:
        """The options -DNAME=VALUE of pacemaker.childopts."""

    @property
    def nimbus_daemon_user(self) -> str | None:
        """nimbus.daemon.user."""


class _AuthMethod(Protocol):
    @property
    def name(self) -> str: ...


class ServerSasl(NamedTuple):
    """How this server authenticates its clients.

    Attributes:
        factory: creates the mechanism for one connection; None if clients do not have
            to authenticate.
        notes: warnings for the administrator, one line each, without secrets.
        identity: all settings that decide who may read, including secrets.  If two
            are equal, a client authenticated under one may read under the other.
    """

    factory: MechanismFactory | None
    notes: tuple[str, ...] = ()
    identity: Secret = Secret("")


class ClientSasl(NamedTuple):
    """How this client authenticates itself.

    Attributes:
        factory: creates the mechanism for one connection to a host, written as in
            `pacemaker.servers`; None if no authentication is needed.
        notes: warnings for the administrator, as in `ServerSasl`.
    """

    factory: ClientMechanismFactory | None
    notes: tuple[str, ...] = ()


def set_up_server(
    settings: SaslSettings,
    state_directory: Path | None = None,
    kerberos_section: str = "PacemakerServer",
) -> ServerSasl:
    """Set up the server's mechanism for the configured method.

    Args:
        kerberos_section: the section of the JAAS file with the server's principal.
        state_directory: the folder of the replay cache for KERBEROS; by default
            `default_state_directory`.  It is created if it is missing, and refused if
            others have access.

    Raises:
        ConfigError: the method cannot be used; one line says why.
    """
    place = state_directory or default_state_directory()
    return _by_name(_SERVER_METHODS, settings)(settings, place, kerberos_section)


def set_up_client(
    settings: SaslSettings, client_name: str = DEFAULT_CLIENT_NAME
) -> ClientSasl:
    """Set up the client's mechanism for the configured method.

    Args:
        client_name: the client's name under DIGEST.

    Raises:
        ConfigError: the method cannot be used; one line says why.
    """
    return _by_name(_CLIENT_METHODS, settings)(settings, client_name)


def default_state_directory() -> Path:
    """Return a private folder of this user that outlives the process.

    A replay cache is useful for as long as clocks may differ (5 minutes), also across a
    restart or a reboot.  Under systemd it is the unit's StateDirectory=.
    """
    by_systemd = os.environ.get("STATE_DIRECTORY")
    if by_systemd:
        return Path(by_systemd.partition(":")[0]) / "kerberos"
    return Path(f"/var/tmp/storm-pacemaker-py-{os.getuid()}")  # noqa: S108  # created private, and checked


def _digest_server(
    settings: SaslSettings, state_directory: Path, kerberos_section: str
) -> ServerSasl:
    secret, notes = login.read_digest_login(settings.jaas_file, _properties(settings))
    identity = _identity(settings, secret.reveal())
    return ServerSasl(lambda: DigestServer(secret), notes, identity)


def _digest_client(settings: SaslSettings, client_name: str) -> ClientSasl:
    secret, notes = login.read_digest_login(settings.jaas_file, _properties(settings))
    return ClientSasl(lambda host: DigestClient(secret, client_name), notes)


def _kerberos_server(
    settings: SaslSettings, state_directory: Path, kerberos_section: str
) -> ServerSasl:
    try:
        from pacemaker.sasl import gss
    except ImportError as exc:
        raise ConfigError(INSTALL_KERBEROS) from exc
    found = login.read_kerberos_server_login(
        settings.jaas_file, _properties(settings), kerberos_section
    )
    cache = find_replay_cache(state_directory, os.environ)
    new_acceptor = gss.acceptor_factory(found.principal, found.keytab, cache)
    user = settings.nimbus_daemon_user
    notes = found.notes + cache.notes
    if not user:
        notes += ("nimbus.daemon.user is not set: nobody is authorised to read",)
    identity = _identity(settings, found.principal, str(found.keytab))
    return ServerSasl(lambda: KerberosServer(new_acceptor(), user), notes, identity)


def _kerberos_client(settings: SaslSettings, client_name: str) -> ClientSasl:
    try:
        from pacemaker.sasl import gss_client
    except ImportError as exc:
        raise ConfigError(INSTALL_KERBEROS) from exc
    found = login.read_kerberos_client_login(settings.jaas_file, _properties(settings))
    return ClientSasl(gss_client.client_factory(found), found.notes)


_SERVER_METHODS: Final[
    Mapping[str, Callable[[SaslSettings, Path, str], ServerSasl]]
] = {
    "NONE": lambda settings, state_directory, kerberos_section: ServerSasl(
        None, identity=_identity(settings)
    ),
    "DIGEST": _digest_server,
    "KERBEROS": _kerberos_server,
}

_CLIENT_METHODS: Final[Mapping[str, Callable[[SaslSettings, str], ClientSasl]]] = {
    "NONE": lambda settings, client_name: ClientSasl(None),
    "DIGEST": _digest_client,
    "KERBEROS": _kerberos_client,
}


def _properties(settings: SaslSettings) -> login.Properties:
    return login.java_properties(settings.java_properties)


def _identity(settings: SaslSettings, *more: str) -> Secret:
    user = settings.nimbus_daemon_user or ""
    return Secret("\0".join((settings.auth_method.name, user, *more)))


def _by_name(methods: Mapping[str, M], settings: SaslSettings) -> M:
    name = settings.auth_method.name
    if name not in methods:
        problem = f"must be one of {', '.join(methods)}"
        raise ConfigError(problem, key="pacemaker.auth.method", value=name)
    return methods[name]
