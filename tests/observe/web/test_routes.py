"""The pages by request: what is shown, to whom, and that names do no harm."""

from __future__ import annotations

import base64
import dataclasses
import json
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from pacemaker.admin.routes import HttpRequest, HttpResponse, text_response
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.sparklines import INTERVAL_S, Sparklines
from pacemaker.observe.web import assets
from pacemaker.observe.web.routes import POLICY, Site
from pacemaker.observe.zookeeper.storm_nodes import LastError
from tests.observe import made_up
from tests.observe.fixed import Fixed
from tests.observe.made_up import NOW, TOPOLOGY, A, B

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e" + "x" * 10_000
PATH = f"/topology/{TOPOLOGY}"
RAW = {"script", "style", "svg"}


class Page(HTMLParser):
    """A page's text, links, and elements."""

    def __init__(self, reply: HttpResponse) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(body_of(reply))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.links.append(href)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All text of the page."""
        return "".join(self.texts)


def body_of(reply: HttpResponse) -> str:
    """Return the body of a reply."""
    return b"".join(reply.slices).decode()


def site(shown: TrackedCluster | None = None, token: str | None = None) -> Site:
    """Return a site that shows a cluster."""
    source = Fixed(shown or cluster())
    sparklines = Sparklines()
    sparklines.on_view(source.view())
    sparklines.on_view(dataclasses.replace(source.view(), time_s=NOW + INTERVAL_S))
    return Site(source, sparklines, lambda: text_response(200, "m 1"), ("obs",), token)


def cluster() -> TrackedCluster:
    """Return a cluster with an error, and a worker that is late."""
    cluster = made_up.running()
    error = LastError(
        "java.lang.Error: no <b>\n\tat X.y(X.java:1)", NOW - 5, "alpha", 6700
    )
    errors = {(TOPOLOGY, "count"): error}
    cluster.on_nodes(dataclasses.replace(made_up.NODES, errors=errors))
    details = made_up.value(made_up.executors_of(A))
    cluster.on_value(TOPOLOGY, A, details, NOW + 20)
    return cluster


def get(target: str, of: Site | None = None, **fields: str | None) -> HttpResponse:
    """Ask for a page."""
    headers = {"host": "localhost", **fields}
    return (of or site()).answer(HttpRequest("GET", target, **headers))  # type: ignore[arg-type]


def test_the_first_page_says_what_is_wrong() -> None:
    """A sentence, lists of the worst, and the topologies with links."""
    page = Page(get("/"))
    assert "words: worker alpha:6700 has sent no heartbeat for 20 s" in page.text
    assert "Late or missing workers" in page.text
    assert "java.lang.Error: no <b>" in page.text
    assert f"/topology/{TOPOLOGY}/worker/{A}" in page.links
    assert f"/topology/{TOPOLOGY}/component/count" in page.links
    assert PATH in page.links


def test_links_lead_to_pages() -> None:
    """Every link from every page is answered."""
    seen, left = {"/metrics"}, ["/"]
    while left:
        target = left.pop()
        if target in seen or target.startswith(("#", "?")):
            continue
        seen.add(target)
        reply = get(target)
        assert reply.status == 200, target
        left += Page(reply).links
    assert len(seen) == 2 + 1 + 4 + 2


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/", "topologies"),
        (PATH, "windows"),
        (f"{PATH}/component/count", "executor_details"),
        (f"{PATH}/worker/{B}", "executor_details"),
    ],
)
def test_every_page_is_also_json(path: str, key: str) -> None:
    """The same address with ?format=json."""
    reply = get(f"{path}?format=json")
    assert reply.content_type == "application/json"
    assert json.loads(body_of(reply))[key]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/topology",
        "/topology/other-1-1",
        f"{PATH}/component",
        f"{PATH}/component/none",
        f"{PATH}/worker/none",
        f"{PATH}/else/count",
        "/topology/%ff%00",
        "//",
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    """As a page, and as JSON."""
    assert get(path).status == 404
    reply = get(f"{path}?format=json")
    assert reply.status == 404
    assert "error" in json.loads(body_of(reply))


@pytest.mark.parametrize("target", ["/?format=xml", "/?" + "a=1&" * 30, "http://[/"])
def test_a_wrong_request_is_400(target: str) -> None:
    """The reply says what is allowed."""
    assert get(target).status == 400


def test_hostile_names_do_no_harm() -> None:
    """Markup is text, controls and direction marks are gone, long names are cut."""
    cluster = TrackedCluster()
    topology_id = f"{HOSTILE}-1-1700000000"
    cluster.on_listed({topology_id: [A, HOSTILE]}, NOW)
    cluster.on_value(
        topology_id, A, made_up.value(made_up.executors_of(A), NOW - 20), NOW
    )
    cluster.on_value(topology_id, HOSTILE, b"nonsense", NOW)
    quoted = quote(topology_id, safe="")
    for target in ("/", f"/topology/{quoted}", f"/topology/{quoted}/worker/{A}"):
        reply = get(target, site(cluster))
        assert reply.status == 200
        page = Page(reply)
        assert "<script>alert(1)</script>" in page.text
        scripts = [attrs for tag, attrs in page.elements if tag == "script"]
        assert scripts == [{"src": "/script.js", "defer": None}]
        assert not any(char in page.text for char in "\x1b\u202e")
        assert "x" * 120 not in page.text
        assert "has sent no heartbeat for 20 s" in page.text


def test_the_policy_allows_no_other_script() -> None:
    """Nothing inline, nothing from elsewhere, in no frame."""
    reply = get("/")
    assert reply.headers["Content-Security-Policy"] == POLICY
    page = Page(reply)
    for tag, attrs in page.elements:
        assert not any(name == "style" or name.startswith("on") for name in attrs), tag
    assert "style" not in {tag for tag, _ in page.elements}


def test_style_and_script_are_small() -> None:
    """The script is below 5 KB, and both are served."""
    assert body_of(get("/style.css")) == assets.STYLE
    assert body_of(get("/script.js")) == assets.SCRIPT
    assert len(assets.SCRIPT.encode()) < 5000


def test_a_page_of_a_hundred_topologies_is_small() -> None:
    """It has less than 60 KB, sparklines of ten minutes included."""
    cluster = TrackedCluster()
    names = [f"topology-number-{n}-{n}-1700000000" for n in range(100)]
    cluster.on_listed({name: [A, B] for name in names}, NOW)
    for name in names:
        for worker in (A, B):
            details = made_up.value(made_up.executors_of(worker))
            cluster.on_value(name, worker, details, NOW)
    source = Fixed(cluster)
    sparklines = Sparklines()
    for number in range(30):
        view = source.view()
        moved = dataclasses.replace(view, time_s=NOW + number * INTERVAL_S)
        sparklines.on_view(moved)
    page = Site(source, sparklines, lambda: text_response(200, ""))
    assert len(body_of(get("/", page))) < 60_000


def test_another_host_is_refused() -> None:
    """A page of another site cannot read it by rebinding its name."""
    assert get("/", host="evil.example").status == 403
    assert get("/", host="obs:6697").status == 200
    assert get("/", host="10.1.2.3").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(method: str) -> None:
    """Every other method is refused."""
    reply = site().answer(HttpRequest(method, "/", "localhost"))
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, HEAD"


def basic(password: str) -> str:
    """Return the header of a browser."""
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer secret", 200),
        ("bearer secret", 200),
        (basic("secret"), 200),
        (basic("wrong"), 401),
        ("Basic !!", 401),
        ("Digest secret", 401),
    ],
)
def test_a_token_opens_every_page(authorization: str | None, status: int) -> None:
    """Also the metrics, as a bearer token or as a browser's password."""
    gated = site(token="secret")
    for path in ("/", PATH, "/metrics", "/?format=json"):
        reply = get(path, gated, authorization=authorization)
        assert reply.status == status
    if status == 401:
        assert reply.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_private_socket_needs_no_token() -> None:
    """Whoever may connect to the Unix socket may read."""
    request = HttpRequest("GET", "/", "localhost", None, True)
    assert site(token="secret").answer(request).status == 200
