"""Ask an admin endpoint, over TCP or a Unix socket."""

from __future__ import annotations

import http.client
import socket
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
    connection: http.client.HTTPConnection
    if address.is_unix:
        connection = _UnixConnection(address.path, timeout_s)
    else:
        connection = http.client.HTTPConnection(
            address.host, address.port, timeout=timeout_s
        )
    # Not the name in the address: endpoints refuse names that they do not know, because
    # a browser can be tricked into asking by one.  This client cannot, and `why` asks
    # by the names in pacemaker.servers, whatever address --admin has.
    headers = {"Host": "localhost"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = response.read(_MAX_BYTES)
        return FetchedPage(response.status, body.decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise AdminError(str(address), reason) from exc
    finally:
        connection.close()
