"""Which request gets which page, and which requests are refused; pure."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import parse_qs, urlsplit

from pacemaker.admin.address import is_right_host
from pacemaker.admin.health import HealthCheck, are_ok, as_json, as_text

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
METHODS: Final = ("GET", "HEAD")

OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
METHOD_NOT_ALLOWED: Final = 405
UNAVAILABLE: Final = 503

_BEARER: Final = "bearer "


class HttpRequest(NamedTuple):
    """A client's request.

    Attributes:
        method: the method, in capitals.
        target: path and query.
        host: the Host header, if there is one.
        authorization: the Authorization header, if there is one.
        is_private: whether it came by a Unix socket that only this user may use.
    """

    method: str
    target: str
    host: str | None = None
    authorization: str | None = None
    is_private: bool = False


class HttpResponse(NamedTuple):
    """The reply to a request.

    Attributes:
        status: the HTTP status.
        content_type: the type of the body.
        slices: the body, in pieces that each take less than a millisecond to make.
        headers: further headers.
    """

    status: int
    content_type: str
    slices: Iterable[bytes]
    headers: Mapping[str, str] = {}


# The parameters of a request, each with its last value.
Query: TypeAlias = Mapping[str, str]


class Page(NamedTuple):
    """One page.

    Attributes:
        show: returns the reply; it may raise ValueError for a wrong parameter.
        is_gated: whether only those who may read heartbeats may see it.
    """

    show: Callable[[Query], HttpResponse]
    is_gated: bool = False


class Routes:
    """Answers requests.  Any thread may call it.

    Args:
        pages: the pages by path.
        names: the names that a Host header may have, in lower case.
        is_gated: whether gated pages require a Unix socket or the token.
        token: opens the gated pages; None if no token does.
    """

    def __init__(
        self,
        pages: Mapping[str, Page],
        names: Collection[str] = (),
        is_gated: bool = False,
        token: str | None = None,
    ) -> None:
        self._pages = pages
        self._names = names
        self._is_gated = is_gated
        self._token = token

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the reply to a request."""
        if not is_right_host(request.host, self._names):
            return text_response(
                FORBIDDEN,
                "the Host header is neither an address, nor localhost, nor a name of"
                " this endpoint; name it with --admin-host",
            )
        if request.method not in METHODS:
            reply = text_response(
                METHOD_NOT_ALLOWED, "this endpoint is read-only: use GET or HEAD"
            )
            return reply._replace(headers={"Allow": ", ".join(METHODS)})
        try:
            target = urlsplit(request.target)
        except ValueError:
            # Not the error's own text, which may repeat part of the request.
            return text_response(BAD_REQUEST, "the target is not a valid URL")
        page = self._pages.get(target.path)
        if page is None:
            return text_response(NOT_FOUND, f"the pages are {', '.join(self._pages)}")
        if page.is_gated and not self._may_read(request):
            reply = text_response(
                UNAUTHORIZED,
                "this page needs the Unix socket of --admin unix:PATH, or the token"
                " of --admin-token-file in the header Authorization: Bearer TOKEN",
            )
            return reply._replace(headers={"WWW-Authenticate": "Bearer"})
        try:
            return page.show(_parameters(target.query))
        except ValueError as exc:
            return text_response(BAD_REQUEST, str(exc))

    def _may_read(self, request: HttpRequest) -> bool:
        if not self._is_gated or request.is_private:
            return True
        header = request.authorization or ""
        if self._token is None or not header.lower().startswith(_BEARER):
            return False
        given = header[len(_BEARER) :].strip()
        return hmac.compare_digest(given.encode(), self._token.encode())


def _parameters(query: str) -> Query:
    fields = parse_qs(query, keep_blank_values=True, max_num_fields=16)
    return {name: values[-1] for name, values in fields.items()}


def is_json(query: Query) -> bool:
    """Return whether a request asks for JSON.

    Raises:
        ValueError: it asks for a format that does not exist.
    """
    wanted = query.get("format", "text")
    if wanted not in ("text", "json"):
        raise ValueError("format must be text or json")
    return wanted == "json"


def text_response(status: int, text: str) -> HttpResponse:
    """Return a reply of one line of text."""
    return HttpResponse(status, TEXT, (f"{text}\n".encode(),))


def health_response(query: Query, checks: Sequence[HealthCheck]) -> HttpResponse:
    """Return the reply that tells whether all checks have passed."""
    status = OK if are_ok(checks) else UNAVAILABLE
    if is_json(query):
        return HttpResponse(status, JSON, (as_json(checks).encode(),))
    return HttpResponse(status, TEXT, (as_text(checks, "verbose" in query).encode(),))
