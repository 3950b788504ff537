"""Which request gets which page."""

from __future__ import annotations

import pytest

from pacemaker.admin.health import HealthCheck
from pacemaker.admin.routes import (
    HttpRequest,
    HttpResponse,
    Page,
    Query,
    Routes,
    health_response,
    text_response,
)

SECRET = "a-token"


def page(query: Query) -> HttpResponse:
    """Show the query."""
    return text_response(200, repr(sorted(query.items())))


PAGES = {"/livez": Page(page), "/history": Page(page, is_gated=True)}
OPEN = Routes(PAGES)
GATED = Routes(PAGES, is_gated=True, token=SECRET)


def body(reply: HttpResponse) -> str:
    """Return the whole body."""
    return b"".join(reply.slices).decode()


def test_page_gets_its_parameters() -> None:
    """One without a value is there, and the last of several counts."""
    reply = OPEN.answer(HttpRequest("GET", "/livez?verbose&format=text&format=json"))
    assert reply.status == 200
    assert body(reply) == "[('format', 'json'), ('verbose', '')]\n"


def test_unknown_page_is_not_found() -> None:
    """The reply names those that there are, and repeats nothing of the request."""
    reply = OPEN.answer(HttpRequest("GET", "/<script>"))
    assert reply.status == 404
    assert body(reply) == "the pages are /livez, /history\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_endpoint_can_only_be_read(method: str) -> None:
    """The reply says which methods there are."""
    reply = OPEN.answer(HttpRequest(method, "/livez"))
    assert reply.status == 405
    assert reply.headers == {"Allow": "GET, HEAD"}


def test_wrong_host_is_refused() -> None:
    """Before anything else is looked at."""
    reply = OPEN.answer(HttpRequest("POST", "/livez", host="evil.example"))
    assert reply.status == 403
    assert "--admin-host" in body(reply)
    named = Routes(PAGES, {"pm1"})
    assert named.answer(HttpRequest("GET", "/livez", host="PM1:6698")).status == 200


def test_parameter_that_is_wrong_is_refused() -> None:
    """By what the page says of it."""
    routes = Routes({"/livez": Page(lambda query: health_response(query, []))})
    reply = routes.answer(HttpRequest("GET", "/livez?format=xml"))
    assert (reply.status, body(reply)) == (400, "format must be text or json\n")
    many = "&".join(f"p{number}=1" for number in range(20))
    assert routes.answer(HttpRequest("GET", f"/livez?{many}")).status == 400


@pytest.mark.parametrize("target", ["http://[", "http://[::1", "http://\u2100/livez"])
def test_target_that_is_no_url_is_refused(target: str) -> None:
    """Anybody may send one: it is no bug of the daemon, and nothing is repeated."""
    reply = OPEN.answer(HttpRequest("GET", target))
    assert (reply.status, body(reply)) == (400, "the target is not a valid URL\n")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer another", 401),
        ("Bearer \u00e9", 401),
        (f"Basic {SECRET}", 401),
        (f"Bearer {SECRET}", 200),
        (f"bearer  {SECRET} ", 200),
    ],
)
def test_gated_page_needs_the_token(authorization: str | None, status: int) -> None:
    """If authentication is on, and over TCP."""
    request = HttpRequest("GET", "/history", authorization=authorization)
    reply = GATED.answer(request)
    assert reply.status == status
    if status == 401:
        assert reply.headers == {"WWW-Authenticate": "Bearer"}


def test_gated_page_is_open_to_this_user() -> None:
    """Whoever may use the Unix socket may also read the daemon's memory."""
    assert GATED.answer(HttpRequest("GET", "/history", is_private=True)).status == 200


def test_no_token_opens_nothing() -> None:
    """No token is configured: an empty one does not match it."""
    routes = Routes(PAGES, is_gated=True)
    request = HttpRequest("GET", "/history", authorization="Bearer ")
    assert routes.answer(request).status == 401
    assert OPEN.answer(HttpRequest("GET", "/history")).status == 200


def test_health_is_a_status_too() -> None:
    """Probes look at nothing else."""
    good, bad = HealthCheck("io-0", True, "fine"), HealthCheck("io-1", False, "stuck")
    assert health_response({}, [good]).status == 200
    assert health_response({}, [good, bad]).status == 503
    reply = health_response({"format": "json"}, [bad])
    assert (reply.status, reply.content_type) == (503, "application/json")
