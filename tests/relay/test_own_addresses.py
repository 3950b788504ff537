"""Which addresses are this host's: a Pacemaker's own entry, a relay's own address."""

from __future__ import annotations

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.config import Settings
from pacemaker.errors import ConfigError
from pacemaker.relay import own_addresses
from pacemaker.relay.own_addresses import (
    OwnEntry,
    find_own_entry,
    own_address,
    parse_servers,
    refuse_itself,
)

HOSTS = {
    "pm1": {"192.0.2.1"},
    "pm2": {"192.0.2.2"},
    "two": {"2001:db8::1", "192.0.2.1"},
    "debian": {"127.0.1.1"},
    "both": {"127.0.1.1", "192.0.2.1"},
    "localhost": {"127.0.0.1", "::1"},
    "unknown": set(),
}
OURS = {"192.0.2.1", "2001:db8::1", "127.0.0.1", "127.0.1.1", "::1"}


@pytest.fixture(autouse=True)
def _fake_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake the resolver and this host's addresses."""
    monkeypatch.setattr(
        own_addresses, "resolve", lambda server: HOSTS.get(server.host, {server.host})
    )
    monkeypatch.setattr(own_addresses, "is_of_this_host", OURS.__contains__)


@pytest.mark.parametrize(
    ("servers", "entry"),
    [
        (("pm1", "pm2"), ("192.0.2.1", 6699)),
        (("pm2", "pm1:7000"), ("192.0.2.1", 7000)),
        (("192.0.2.1", "pm2"), ("192.0.2.1", 6699)),
        (("pm1", "192.0.2.1"), ("192.0.2.1", 6699)),
        (("two",), ("192.0.2.1", 6699)),
        (("both", "pm2"), ("192.0.2.1", 6699)),
    ],
)
def test_pacemaker_finds_its_own_entry(
    servers: tuple[str, ...], entry: tuple[str, int]
) -> None:
    """The entry is found by its address, and is never a loopback address."""
    assert find_own_entry(Settings(relay_servers=servers)) == OwnEntry(*entry)


@pytest.mark.parametrize(
    ("servers", "problem"),
    [
        (("pm2",), "no entry is an address of this host"),
        (("unknown",), "no entry is an address of this host"),
        (("debian", "pm2"), "debian is 127.0.1.1 on this host"),
        (("pm1", "pm1:7000"), "more than one entry is this host's"),
    ],
)
def test_pacemaker_without_an_entry_is_told_what_to_do(
    servers: tuple[str, ...], problem: str
) -> None:
    """Without an entry it would bind the relay's address, so it must not start."""
    with pytest.raises(ConfigError, match=problem) as caught:
        find_own_entry(Settings(relay_servers=servers))
    assert "--bind" in str(caught.value)


def test_place_that_was_asked_for_comes_first() -> None:
    """An address given by the administrator overrides the entry."""
    settings = Settings(relay_servers=("pm2",))
    assert own_address(settings, "192.0.2.9") == (settings, "192.0.2.9")


def test_place_has_the_port_of_the_entry() -> None:
    """The port is that of the entry, because relays connect to it."""
    settings, bind = own_address(Settings(relay_servers=("pm1:7000",)), None)
    assert (settings.port, bind) == (7000, "192.0.2.1")


def test_same_server_is_parsed_once() -> None:
    """A server that is listed twice is used once."""
    assert parse_servers(["a", "a:6699", "b:1"], 6699, "--to") == (
        ServerAddress("a", 6699),
        ServerAddress("b", 1),
    )


def test_wrong_server_is_named_with_its_source() -> None:
    """The error names the server, and where it was configured."""
    with pytest.raises(ConfigError, match="--to: 'a:b:c:d"):
        parse_servers(["a:b:c:d"], 6699, "--to")


@pytest.mark.parametrize(
    ("server", "listening"),
    [
        ("localhost", ("127.0.0.1", 6699)),
        ("localhost", ("::1", 6699)),
        ("pm1", ("192.0.2.1", 6699)),
        ("pm1", ("0.0.0.0", 6699)),
        ("pm1", ("::", 6699)),
    ],
)
def test_relay_refuses_itself(server: str, listening: tuple[str, int]) -> None:
    """The relay recognizes itself by address, not by name."""
    with pytest.raises(ConfigError, match="is this relay itself"):
        refuse_itself([ServerAddress(server, 6699)], [listening])


@pytest.mark.parametrize(
    ("server", "port", "listening"),
    [
        ("localhost", 6700, ("127.0.0.1", 6699)),
        ("pm2", 6699, ("0.0.0.0", 6699)),
        ("pm1", 6699, ("127.0.0.1", 6699)),
        ("unknown", 6699, ("127.0.0.1", 6699)),
    ],
)
def test_relay_takes_a_pacemaker_on_its_own_host(
    server: str, port: int, listening: tuple[str, int]
) -> None:
    """It may have another address or port, or not be resolvable yet."""
    refuse_itself([ServerAddress(server, port)], [listening])
