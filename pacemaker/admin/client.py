"""Ask an admin endpoint, over TCP or a Unix socket."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from typing import Final, NamedTuple

from pacemaker.admin.address import AdminAddress
from pacemaker.errors import AdminError

# Larger than a history of every worker of a large cluster.
_MAX_BYTES: Final = 256 * 1024 * 1024


class FetchedPage(NamedTuple):
    """An endpoint's answer."""

    status: int
    text: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def fetch_page(
    address: AdminAddress, target: str, timeout_s: float, token: str | None = None
) -> FetchedPage:
    """Get one page.

    Args:
        address: the endpoint.
        target: path and query.
        timeout_s: how long connecting, and each read, may take.
        token: sent as a bearer token, unless it is None.

    Raises:
        AdminError: there is no answer.
    """
    # Not the name in the address: endpoints refuse names that they do not know, because
    # a browser can be tricked into asking by one.  This client cannot, and `why` asks
    # by the names in pacemaker.servers, whatever address --admin has.
    headers = {"Host": "localhost"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with closing(_connection(address, timeout_s)) as connection:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            body = response.read(_MAX_BYTES)
            return FetchedPage(response.status, body.decode("utf-8", "replace"))
    except (UnicodeError, http.client.InvalidURL) as exc:
        # Target and token are ASCII, so it is the name: IDNA cannot encode it, as it
        # has an empty or a long label, or http.client refuses it for a blank.
        raise AdminError(str(address), "this is not a host name") from exc
    except (OSError, http.client.HTTPException) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise AdminError(str(address), reason) from exc


def _connection(address: AdminAddress, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection that is not open yet; it may refuse the host's name."""
    if address.is_unix:
        return _UnixConnection(address.path, timeout_s)
    return http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
