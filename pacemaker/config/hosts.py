"""Check hosts in the configuration: names or addresses."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

# The limit of DNS.
_MAX_NAME_CHARACTERS: Final = 253

_NAME: Final = re.compile(rb"[A-Za-z0-9_.-]+")  # "_" is common in container names
_PORT: Final = r":(?P<port>[0-9]{1,5})"
_WITH_PORT: Final = re.compile(
    rf"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:\[\]]*)){_PORT}"
)
_PORT_MAX: Final = 65535


def is_host(text: str) -> bool:
    """Return whether a text is a valid host name or address, without a port.

    Whether the host exists is up to the resolver; but it cannot even be asked for a
    name like ``a..b``.
    """
    return _is_ipv6(text) if ":" in text else _is_name(text)


def is_server(text: str) -> bool:
    """Return whether a text is ``HOST`` or ``HOST:PORT``, with IPv6 in brackets."""
    match = _WITH_PORT.fullmatch(text)
    if match is None:
        return is_host(_without_brackets(text))
    if not 1 <= int(match["port"]) <= _PORT_MAX:
        return False
    address = match["address"]
    return _is_name(match["name"]) if address is None else _is_ipv6(address)


def is_zookeeper_host(text: str) -> bool:
    """Return whether a text is a valid item of ``storm.zookeeper.servers``.

    Storm appends the common port to each item and joins the items with commas.  So an
    item may contain several hosts, and only the last must have no port.
    """
    *others, last = text.split(",")
    return is_host(_without_brackets(last)) and all(map(is_server, others))


def _without_brackets(text: str) -> str:
    """Strip the brackets of an IPv6 address; return any other text unchanged."""
    is_in_brackets = text.startswith("[") and text.endswith("]") and ":" in text
    return text[1:-1] if is_in_brackets else text


def _is_name(text: str) -> bool:
    if (
        len(text) > _MAX_NAME_CHARACTERS
    ):  # checked first: the codec is slow on longer text
        return False
    try:
        # As in the resolver; this refuses empty and overlong labels.
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
