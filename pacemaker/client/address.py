"""The address of a server: an item of ``pacemaker.servers``."""

from __future__ import annotations

from typing import Final, NamedTuple

from pacemaker.config.hosts import is_host
from pacemaker.config.values import PORT_MAX
from pacemaker.texts import host_and_port


class ServerAddress(NamedTuple):
    """Host and port of one Pacemaker.

    Attributes:
        host: a name or an address, exactly as the user wrote it, because KERBEROS asks
            for a ticket for this name.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


_SHAPE: Final = "must be HOST or HOST:PORT, with an IPv6 address in brackets"

_IN_NO_HOST: Final = frozenset("/?#@[]\\\0")


def parse_server(text: str, default_port: int) -> ServerAddress:
    """Parse ``HOST``, ``HOST:PORT``, ``[IPV6]:PORT`` or a bare IPv6 address.

    Storm itself only supports hosts, with one port for all.

    Args:
        text: the text that the user wrote.
        default_port: the port if the text has none.

    Raises:
        ValueError: the text is none of these; the message says what is allowed.
    """
    host, port = text.strip(), ""
    if "://" in host:
        raise ValueError(f"{_SHAPE}; it is a URL")
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(_SHAPE)
        port = rest[1:] or ("" if not rest else ":")
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        port = port or ":"
    _check_host(host)
    return ServerAddress(host, _parse_port(port) if port else default_port)


def _check_host(host: str) -> None:
    """Refuse a host that no resolver could look up, with a clear error."""
    if is_host(host):
        return
    if not host or any(char.isspace() or char in _IN_NO_HOST for char in host):
        raise ValueError(_SHAPE)
    raise ValueError(
        f"must be a host's name or address: {host!r} has a part that is empty, too long"
        " or not allowed in names"
    )


def _parse_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(PORT_MAX))):
        raise ValueError(_SHAPE)
    port = int(text)
    if not 1 <= port <= PORT_MAX:
        raise ValueError(f"must have a port from 1 to {PORT_MAX}")
    return port
