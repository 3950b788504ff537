"""What may stand for a host in the configuration: a name or an address."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_MAX_NAME_CHARACTERS: Final = 253
"""DNS allows no longer one."""

_NAME: Final = re.compile(rb"[A-Za-z0-9_.-]+")  # "_" is common in names of containers
_PORT: Final = r":(?P<port>[0-9]{1,5})"
_WITH_PORT: Final = re.compile(
    rf"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:\[\]]*)){_PORT}"
)
_PORT_MAX: Final = 65535


def is_host(text: str) -> bool:
    """Return whether a text may be a host's name or address, without a port.

    Whether there is such a host is for the resolver to say; ``a..b`` is a name that
    it cannot even be asked for.
    """
    return _is_ipv6(text) if ":" in text else _is_name(text)


def is_server(text: str) -> bool:
    """Return whether a text may be ``HOST`` or ``HOST:PORT``, IPv6 in brackets."""
    match = _WITH_PORT.fullmatch(text)
    if match is None:
        return is_host(_without_brackets(text))
    if not 1 <= int(match["port"]) <= _PORT_MAX:
        return False
    address = match["address"]
    return _is_name(match["name"]) if address is None else _is_ipv6(address)


def is_zookeeper_host(text: str) -> bool:
    """Return whether a text may be an item of ``storm.zookeeper.servers``.

    Storm adds a colon and the port of all to each and joins them with commas, so
    an item may be several, of which only the last must be without a port.
    """
    *others, last = text.split(",")
    return is_host(_without_brackets(last)) and all(map(is_server, others))


def _without_brackets(text: str) -> str:
    """Return an address of IPv6 without its brackets, any other text as it is."""
    is_in_brackets = text.startswith("[") and text.endswith("]") and ":" in text
    return text[1:-1] if is_in_brackets else text


def _is_name(text: str) -> bool:
    if len(text) > _MAX_NAME_CHARACTERS:  # before the codec, which is slow on more
        return False
    try:
        # As the resolver does it: this refuses labels that are empty or too long.
        encoded = text.encode("idna")
    except UnicodeError:
        return False
    return _NAME.fullmatch(encoded) is not None and encoded != b"."


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
