"""Serve the pages: the admin endpoint's HTTP shell around `routes`."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from pacemaker.admin.address import AdminAddress
from pacemaker.admin.exposition import metrics_page, no_metrics_page
from pacemaker.admin.listening import address_of, listen, release_listener
from pacemaker.admin.routes import HttpResponse
from pacemaker.admin.server import AdminServer
from pacemaker.observe.views.sparklines import Sparklines
from pacemaker.observe.views.view_source import ViewSource
from pacemaker.observe.web.routes import Site

if TYPE_CHECKING:
    from types import TracebackType

_DEADLINE_S: Final = 10.0


class WebServer:
    """Serves the pages until it is closed.

    Args:
        address: where it listens.
        source: gives views and executors.
        history: the figures of the last ten minutes.
        names: further names that are allowed in a Host header.
        token: what a client must send; None if everyone may read.

    Attributes:
        address: where it listens, with its port.

    Raises:
        ListenError: the address is not on this machine, or it is in use.
    """

    def __init__(
        self,
        address: AdminAddress,
        source: ViewSource,
        sparklines: Sparklines,
        names: Collection[str] = (),
        token: str | None = None,
    ) -> None:
        own = {name.lower() for name in (*names, address.host) if name}
        site = Site(source, sparklines, lambda: _metrics(source), own, token)
        self._listener = listen(address, "--http")
        self.address = address_of(self._listener)
        self._server = AdminServer(self._listener, site.answer, _DEADLINE_S)
        self._server.start()

    def close(self) -> None:
        """End every connection, and stop listening."""
        self._server.stop()
        release_listener(self._listener)

    def __enter__(self) -> WebServer:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def is_local(address: AdminAddress) -> bool:
    """Return whether only this host can reach an address."""
    if address.is_unix or address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False  # a name; it may be anything


def _metrics(source: ViewSource) -> HttpResponse:
    try:
        from pacemaker.observe.web.metrics import families

        page = metrics_page(lambda: families(source.view()))
    except ImportError:
        page = no_metrics_page()
    return page.show({})
