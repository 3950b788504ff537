"""Which Pacemakers a relay talks to, and how it authenticates to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pacemaker.client.address import ServerAddress
from pacemaker.config import Settings
from pacemaker.config.keys import RELAY_SERVERS
from pacemaker.errors import ConfigError
from pacemaker.relay.own_addresses import parse_servers
from pacemaker.sasl.mechanism import ClientMechanismFactory


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The Pacemakers of a relay.

    Attributes:
        addresses: where they are.
        mechanism_factory: authenticates the relay for reads; None if it need not.
    """

    addresses: tuple[ServerAddress, ...]
    mechanism_factory: ClientMechanismFactory | None = None


def upstream_addresses(
    settings: Settings, servers: Sequence[str] = ()
) -> tuple[ServerAddress, ...]:
    """Find the Pacemakers of a relay.

    Args:
        settings: Storm's configuration.
        servers: the Pacemakers from the command line, which override the settings.

    Raises:
        ConfigError: there are none, or one is not HOST or HOST:PORT.
    """
    source = "--to" if servers else RELAY_SERVERS
    found = parse_servers(servers or settings.relay_servers, settings.port, source)
    if not found:
        raise ConfigError(
            f"no Pacemakers to relay to: set {RELAY_SERVERS} in storm.yaml, such as"
            " [pm1, pm2], or name them with --to"
        )
    return found
