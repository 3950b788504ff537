"""Figures in Prometheus's text format, written one family at a time.

prometheus-client is an extra.  It is imported only if there is an admin endpoint, and
before the daemon serves: later the files on the disk may belong to another version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from pacemaker.admin.routes import OK, HttpResponse, Page, Query, text_response
from pacemaker.errors import how_to_install

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_NOT_IMPLEMENTED: Final = 501


class _SingleFamily:
    """A registry of one family: prometheus-client writes whole registries."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def metrics_page(collect: Callable[[], Iterable[Metric]]) -> Page:
    """Return the page of the figures.

    Args:
        collect: makes the families, with the figures at the time of the call.

    Raises:
        ImportError: prometheus-client is not installed.
    """
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    def write() -> Iterator[bytes]:
        for family in collect():
            yield generate_latest(_SingleFamily(family))

    def show(query: Query) -> HttpResponse:
        return HttpResponse(OK, CONTENT_TYPE_PLAIN_0_0_4, write())

    return Page(show)


def no_metrics_page() -> Page:
    """Return the page that names the package that is missing."""
    text = f"prometheus-client is not installed: {how_to_install('metrics')}"
    return Page(lambda query: text_response(_NOT_IMPLEMENTED, text))
