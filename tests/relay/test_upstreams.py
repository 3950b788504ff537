"""Which Pacemakers a relay talks to."""

from __future__ import annotations

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.config import Settings
from pacemaker.errors import ConfigError
from pacemaker.relay.upstreams import upstream_addresses


def test_pacemakers_are_those_of_the_configuration() -> None:
    """One without a port listens on pacemaker.port."""
    settings = Settings(port=7000, relay_servers=("pm1", "pm2:6699"))
    assert upstream_addresses(settings) == (
        ServerAddress("pm1", 7000),
        ServerAddress("pm2", 6699),
    )


def test_command_line_overrides_the_configuration() -> None:
    """None of the configured ones is used then."""
    settings = Settings(relay_servers=("pm1",))
    assert upstream_addresses(settings, ["pm3"]) == (ServerAddress("pm3", 6699),)


def test_relay_without_pacemakers_is_refused() -> None:
    """The error names the key and the option that would name some."""
    with pytest.raises(ConfigError, match=r"pacemaker\.relay\.servers.*--to"):
        upstream_addresses(Settings())


def test_wrong_address_is_refused_with_its_source() -> None:
    """A user finds out where it was written."""
    with pytest.raises(ConfigError, match="--to"):
        upstream_addresses(Settings(), ["pm1:port"])
