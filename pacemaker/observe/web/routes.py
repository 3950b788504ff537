"""Which request gets which page; without I/O."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from pacemaker.admin import routes as admin
from pacemaker.admin.address import is_right_host
from pacemaker.admin.routes import HttpRequest, HttpResponse, text_response
from pacemaker.observe.views.cluster_view import ClusterView, TopologyView
from pacemaker.observe.views.sparklines import Sparklines
from pacemaker.observe.views.view_source import ViewSource
from pacemaker.observe.web import assets, pages

HTML: Final = "text/html; charset=utf-8"

# Browsers load the style and the script of this server only, and nothing inline.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_SLICE: Final = 16_384


class Site:
    """Answers requests.  Any thread may call it.

    Args:
        source: gives views and executors.
        history: the figures of the last ten minutes.
        metrics: returns the reply of /metrics.
        names: the names that a Host header may have, in lower case.
        token: what a client must send; None if everybody may read.
    """

    def __init__(
        self,
        source: ViewSource,
        sparklines: Sparklines,
        metrics: Callable[[], HttpResponse],
        names: Collection[str] = (),
        token: str | None = None,
    ) -> None:
        self._source = source
        self._sparklines = sparklines
        self._metrics = metrics
        self._names = names
        self._token = token

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the reply to a request."""
        reply = self._refusal(request) or self._page(request.target)
        return reply._replace(headers={**_HEADERS, **reply.headers})

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if not is_right_host(request.host, self._names):
            return text_response(
                admin.FORBIDDEN,
                "the Host header is neither an address, nor localhost, nor a name of"
                " this page; name it with --http-host",
            )
        if request.method not in admin.METHODS:
            reply = text_response(
                admin.METHOD_NOT_ALLOWED, "this page is read-only: use GET or HEAD"
            )
            return reply._replace(headers={"Allow": ", ".join(admin.METHODS)})
        if self._may_read(request):
            return None
        reply = text_response(
            admin.UNAUTHORIZED,
            "send the token of --http-token-file: as the password, with any user name,"
            " or in the header Authorization: Bearer TOKEN",
        )
        return reply._replace(
            headers={"WWW-Authenticate": 'Basic realm="observe", charset="UTF-8"'}
        )

    def _may_read(self, request: HttpRequest) -> bool:
        if self._token is None or request.is_private:
            return True
        given = _token_in(request.authorization or "")
        return hmac.compare_digest(given, self._token.encode())

    def _page(self, target: str) -> HttpResponse:
        try:
            split = urlsplit(target)
            fields = parse_qs(split.query, max_num_fields=16)
            query = {name: values[-1] for name, values in fields.items()}
            is_json = admin.is_json(query)
        except ValueError as exc:
            return text_response(admin.BAD_REQUEST, str(exc))
        if split.path == "/style.css":
            return _text("text/css; charset=utf-8", assets.STYLE)
        if split.path == "/script.js":
            return _text("text/javascript; charset=utf-8", assets.SCRIPT)
        if split.path == "/metrics":
            return self._metrics()
        parts = [unquote(each, errors="replace") for each in split.path.split("/")[1:]]
        return self._content(parts, is_json)

    def _content(self, parts: Sequence[str], is_json: bool) -> HttpResponse:
        view = self._source.view()
        if list(parts) == [""]:
            if is_json:
                return _json(view.as_json())
            return _html(pages.cluster_page(view, self._sparklines))
        topology = None
        if len(parts) in (2, 4) and parts[0] == "topology":
            topology = view.topology(parts[1])
        if topology is None:
            return _missing(view, "such page", is_json)
        if len(parts) == 2:
            if is_json:
                return _json(topology.as_json())
            return _html(pages.topology_page(view, topology, self._sparklines))
        return self._part(view, topology, parts[2], parts[3], is_json)

    def _part(
        self,
        view: ClusterView,
        topology: TopologyView,
        kind: str,
        name: str,
        is_json: bool,
    ) -> HttpResponse:
        if kind == "component":
            component = next((c for c in topology.components if c.name == name), None)
            if component is not None:
                executors = self._source.executors(topology.id, component=name)
                if is_json:
                    details = [each.as_json() for each in executors]
                    return _json({**component.as_json(), "executor_details": details})
                return _html(
                    pages.component_page(
                        view, topology, component, executors, self._sparklines
                    )
                )
        if kind == "worker":
            worker = next((w for w in topology.workers if w.name == name), None)
            if worker is not None:
                executors = self._source.executors(topology.id, worker=name)
                if is_json:
                    details = [each.as_json() for each in executors]
                    return _json({**worker.as_json(), "executor_details": details})
                return _html(pages.worker_page(view, topology, worker, executors))
        return _missing(view, f"such {kind}", is_json)


def _token_in(authorization: str) -> bytes:
    """Return the token in an Authorization header, Bearer or Basic."""
    scheme, _, rest = authorization.partition(" ")
    given = rest.strip()
    if scheme.lower() == "bearer":
        return given.encode()
    if scheme.lower() != "basic":
        return b""
    try:
        pair = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return pair.partition(b":")[2]


def _missing(view: ClusterView, what: str, is_json: bool) -> HttpResponse:
    if is_json:
        reply = _json({"error": f"there is no {what}, or it no longer exists"})
    else:
        reply = _html(pages.missing_page(view, what))
    return reply._replace(status=admin.NOT_FOUND)


def _html(page: str) -> HttpResponse:
    return _text(HTML, page)


def _json(value: Any) -> HttpResponse:
    return _text(admin.JSON, json.dumps(value) + "\n")


def _text(content_type: str, text: str) -> HttpResponse:
    return HttpResponse(admin.OK, content_type, _slices(text.encode(errors="replace")))


def _slices(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _SLICE):
        yield data[at : at + _SLICE]
