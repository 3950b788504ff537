"""Which addresses are this host's: a Pacemaker's own entry, and a relay's own address.

One storm.yaml serves every host: `pacemaker.relay.servers` names the Pacemakers, and
`pacemaker.servers` names localhost, where the relay listens.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from pacemaker.client.address import ServerAddress, parse_server
from pacemaker.config import Settings
from pacemaker.config.keys import RELAY_SERVERS
from pacemaker.errors import ConfigError
from pacemaker.server.io.listeners import has_inherited_listeners

# How long a start waits for the resolver: a relay must come up without it.
RESOLVE_TIMEOUT_S: Final = 2.0

_HOW: Final = "name this host's address, or the one to listen on with --bind"


class OwnEntry(NamedTuple):
    """The entry of a list of Pacemakers that is this host's.

    Attributes:
        host: its address.
        port: its port.
    """

    host: str
    port: int


def parse_servers(
    texts: Iterable[str], default_port: int, source: str
) -> tuple[ServerAddress, ...]:
    """Parse a list of Pacemakers, without duplicates.

    Raises:
        ConfigError: one of them is not HOST or HOST:PORT.
    """
    addresses: dict[ServerAddress, None] = {}
    for text in texts:
        try:
            addresses[parse_server(text, default_port)] = None
        except ValueError as exc:
            raise ConfigError(str(exc), key=source, value=text) from exc
    return tuple(addresses)


def own_address(settings: Settings, bind: str | None) -> tuple[Settings, str | None]:
    """Return where `serve` listens among relays: at this host's own entry.

    An address that was asked for, or a socket that was handed over, comes first.

    Args:
        settings: Storm's configuration; it names relay servers.
        bind: the address that was asked for.

    Returns:
        The settings, with the entry's port, and the address.

    Raises:
        ConfigError: no entry is this host's, or more than one is.
    """
    if bind is not None or has_inherited_listeners():
        return settings, bind
    entry = find_own_entry(settings)
    return dataclasses.replace(settings, port=entry.port), entry.host


def find_own_entry(settings: Settings) -> OwnEntry:
    """Find the entry of `pacemaker.relay.servers` that is this host's.

    A Pacemaker next to a relay must not listen on loopback or on every address, because
    the relay listens on loopback.

    Raises:
        ConfigError: no entry is this host's, or more than one is.
    """
    servers = parse_servers(settings.relay_servers, settings.port, RELAY_SERVERS)
    found: dict[OwnEntry, None] = {}
    loopbacks: list[str] = []
    for server in servers:
        for host in sorted(resolve(server), key=_version):
            if ip_address(host).is_loopback:
                loopbacks.append(f"{server.host} is {host}")
            elif is_of_this_host(host):
                found[OwnEntry(host, server.port)] = None
                break
    if len(found) == 1:
        return next(iter(found))
    if found:
        named = ", ".join(f"{host}:{port}" for host, port in found)
        problem = f"more than one entry is this host's ({named}): choose with --bind"
    elif loopbacks:
        problem = (
            f"{loopbacks[0]} on this host (see /etc/hosts), and only its relay may"
            f" listen there: {_HOW}"
        )
    else:
        problem = f"no entry is an address of this host: {_HOW}"
    raise ConfigError(problem, key=RELAY_SERVERS, value=list(settings.relay_servers))


def refuse_itself(
    servers: Sequence[ServerAddress], listening: Sequence[tuple[str, int]]
) -> None:
    """Check that a relay does not relay to itself, whatever name it has there.

    A name that is not resolved in time is not checked; if it leads to a loop, the
    relay's announcement reveals it later.

    Raises:
        ConfigError: one of the servers is an address on which it listens.
    """
    for server in servers:
        for host in resolve(server):
            for own_host, own_port in listening:
                is_same = host == own_host or (
                    ip_address(own_host).is_unspecified and is_of_this_host(host)
                )
                if is_same and server.port == own_port:
                    raise ConfigError(
                        f"{server} is this relay itself, which listens on"
                        f" {ServerAddress(own_host, own_port)}: name only Pacemakers;"
                        " a Pacemaker on this host listens on the host's own address,"
                        " not on loopback"
                    )


def resolve(server: ServerAddress) -> set[str]:
    """Return the addresses of a server; none if the resolver does not know in time."""
    found: set[str] = set()
    done = threading.Event()

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            infos = socket.getaddrinfo(server.host, None, type=socket.SOCK_STREAM)
            found.update(_plain(str(info[4][0])) for info in infos)
        done.set()

    # A resolver that does not answer cannot be interrupted.
    threading.Thread(target=look_up, name="pacemaker-resolve", daemon=True).start()
    return set(found) if done.wait(RESOLVE_TIMEOUT_S) else set()


def is_of_this_host(host: str) -> bool:
    """Return whether an address is one of this host's interfaces."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((host, 0))
        except OSError:
            return False
    return True


def _version(host: str) -> int:
    return ip_address(host).version


def _plain(host: str) -> str:
    """Return an address in one form, without a zone."""
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
