"""Which Pacemakers a relay talks to, and how it authenticates to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pacemaker.client.address import ServerAddress, parse_server
from pacemaker.config import Settings
from pacemaker.config.keys import RELAY_SERVERS
from pacemaker.errors import ConfigError
from pacemaker.sasl.mechanism import ClientMechanismFactory
from pacemaker.sasl.registry import client_mechanism_factory


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The Pacemakers of a relay.

    Attributes:
        addresses: where they are.
        mechanism_factory: authenticates the relay for reads; None if it need not.
    """

    addresses: tuple[ServerAddress, ...]
    mechanism_factory: ClientMechanismFactory | None = None


def find_upstreams(settings: Settings, servers: Sequence[str] = ()) -> Upstreams:
    """Find the Pacemakers of a relay.

    Args:
        settings: Storm's configuration.
        servers: the Pacemakers of the command line, which win.

    Raises:
        ConfigError: there are none, or one cannot be an address.
    """
    source = "--to" if servers else RELAY_SERVERS
    addresses: list[ServerAddress] = []
    for text in servers or settings.relay_servers:
        try:
            addresses.append(parse_server(text, settings.port))
        except ValueError as exc:
            raise ConfigError(str(exc), key=source, value=text) from exc
    if not addresses:
        raise ConfigError(
            f"no Pacemakers to relay to: set {RELAY_SERVERS} in storm.yaml, such as"
            " [pm1, pm2], or name them with --to"
        )
    factory = client_mechanism_factory(settings).factory
    return Upstreams(tuple(dict.fromkeys(addresses)), factory)
