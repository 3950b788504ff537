"""The addresses of peers: what counts as one, and which ones many workers share.

An address is an IPv4 address, possibly mapped into IPv6, or a /64 network of IPv6.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

# A subscriber of IPv6 has at least a /64, and therefore 2**64 addresses.
_IPV6_PREFIX: Final = 64

# How many bits are before the IPv4 address in an IPv6 address that it is mapped into.
_MAPPED_PREFIX: Final = 96

# Networks in which each connection counts as an address of its own: by default this
# host, for a relay or a proxy on it.
DEFAULT_SHARED_NETWORKS: Final[tuple[Network, ...]] = (
    ip_network("127.0.0.0/8"),
    ip_network("::1/128"),
)


def address_name(host: str) -> str:
    """Return what counts as one address: the address itself for IPv4, a /64 for IPv6.

    An IPv4 address that is mapped into IPv6 counts as the IPv4 address.

    Args:
        host: an address; an IPv6 address may be in brackets.  Anything that is not an
            address is returned as it is.
    """
    address = parse_address(host)
    if address is None:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    # By its number, because a network accepts no address with a zone (fe80::1%eth0).
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return an address, or None for a text that is none.

    An IPv4 address that is mapped into IPv6 is returned as the IPv4 address.
    """
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_shared_networks(values: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks as an administrator writes them: ``10.0.0.0/8``, ``10.1.2.3``.

    Args:
        values: the networks, or only ``none`` for no networks.

    Raises:
        ValueError: a value is neither an address nor a network; the error names it.
    """
    values = tuple(values)
    if values == ("none",):
        return ()
    return tuple(_unmapped(ip_network(value)) for value in values)


def _unmapped(network: Network) -> Network:
    """Return a network; one of IPv4 that is mapped into IPv6 as that of IPv4."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None:
        return network
    return IPv4Network((int(mapped), network.prefixlen - _MAPPED_PREFIX))
