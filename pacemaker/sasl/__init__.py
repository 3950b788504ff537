"""SASL as Storm speaks it: mechanisms without I/O, found by their method's name."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pacemaker.errors import ConfigError
from pacemaker.sasl.mechanism import (
    ClientMechanism,
    ClientMechanismFactory,
    MechanismFactory,
    ServerMechanism,
)

__all__ = [
    "ClientMechanism",
    "ClientMechanismFactory",
    "MechanismFactory",
    "ServerMechanism",
    "ServerSasl",
    "server_mechanism_factory",
]


class ServerSasl(NamedTuple):
    """How this server authenticates its clients.

    Attributes:
        factory: makes the mechanism of one connection; None where nobody
            has to authenticate.
        notes: what the administrator should know, a line each, to be logged
            as warnings; no secrets.
    """

    factory: MechanismFactory | None
    notes: tuple[str, ...] = ()


class _AuthMethod(Protocol):
    @property
    def name(self) -> str: ...


class _Settings(Protocol):
    @property
    def auth_method(self) -> _AuthMethod: ...


def server_mechanism_factory(settings: _Settings) -> ServerSasl:
    """Find the mechanism that the configuration names, and check all it needs.

    Raises:
        ConfigError: the method cannot be served; one line says why.
    """
    if settings.auth_method.name == "NONE":
        return ServerSasl(None)
    raise ConfigError(
        "no mechanism of this name",
        key="pacemaker.auth.method",
        value=settings.auth_method.name,
    )
