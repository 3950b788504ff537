"""Where the admin endpoint listens, and by which names clients may ask for it; pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

_UNIX: Final = "unix:"
# sockaddr_un has 108 bytes for the path, with a zero byte at the end (unix(7)).
_MAX_PATH_BYTES: Final = 107
_MAX_PORT: Final = 65535
_FORMS: Final = "must be ADDRESS:PORT, such as 127.0.0.1:6698, or unix:PATH"


@dataclass(frozen=True, slots=True)
class AdminAddress:
    """An address of TCP, or the path of a Unix socket.

    Attributes:
        host: the address or host name; "" for a Unix socket.
        port: the port; 0 for any free one.
        path: the absolute path of the Unix socket; "" for TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_unix(self) -> bool:
        """Whether this is a Unix socket."""
        return bool(self.path)


def parse_admin_address(text: str) -> AdminAddress:
    """Parse ``ADDRESS:PORT``, ``[IPV6]:PORT`` or ``unix:PATH``.

    Raises:
        ValueError: the text is none of these; the error says what is allowed.
    """
    if text.startswith(_UNIX):
        return _parse_path(text.removeprefix(_UNIX))
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if not colon or not host.strip() or (":" in host) != is_bracketed:
        raise ValueError(f"{text!r}: {_FORMS}")
    if not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise ValueError(f"{text!r}: the port must be a number up to {_MAX_PORT}")
    return AdminAddress(host=host, port=int(port))


def _parse_path(path: str) -> AdminAddress:
    if not path.startswith("/"):
        # An upgrade executes the same command line again, but not necessarily in the
        # same working directory.
        raise ValueError(f"{path!r}: the path of the Unix socket must begin with /")
    if len(path.encode(errors="surrogateescape")) > _MAX_PATH_BYTES or "\0" in path:
        raise ValueError(
            f"{path!r}: the path of a Unix socket has at most {_MAX_PATH_BYTES} bytes"
        )
    return AdminAddress(path=path)


def is_right_host(header: str | None, names: Collection[str]) -> bool:
    """Return whether the Host header shows that a request is meant for this endpoint.

    A web page on another site can make its visitor's browser send requests here, and
    can read the replies if its own name resolves to this address (DNS rebinding).  The
    browser then sends that name.  Probes ask by address, and a page can only have an
    address as its name if it is served from there.

    Args:
        header: the header; None if the request has none, as HTTP/1.0 allows.
        names: the names to allow in addition to any address and ``localhost``.
    """
    if header is None:
        return True
    name = _host_of(header.strip().lower())
    return name == "localhost" or _is_address(name) or name in names


def _host_of(header: str) -> str:
    """Return the host of a Host header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
