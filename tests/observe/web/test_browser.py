"""The page in a real Chromium: rendering, refreshes, accessibility, forged names."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from pacemaker.admin.address import AdminAddress
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.sparklines import INTERVAL_S, Sparklines
from pacemaker.observe.web.server import WebServer
from tests.observe import made_up
from tests.observe.fixed import Fixed
from tests.observe.made_up import NOW, TOPOLOGY, A, B
from tests.observe.pictured import pictured
from tests.real.jvm import program

pytestmark = [pytest.mark.real, pytest.mark.io, pytest.mark.slow]

WAIT_S: Final = 60
PHONE: Final = (400, 800)
DESK: Final = (1280, 900)
HOSTILE: Final = (
    '<img src=x onerror="window.harm=1">\x1b[31m\u202e\u0627\u0644' + "x" * 9_000
)

SCREENSHOT: Final = os.environ.get("OBSERVE_SCREENSHOTS")
"""A folder for the screenshots of docs/observe.md."""


class Site:
    """The server, and the cluster that it shows."""

    def __init__(self, shown: TrackedCluster | None = None) -> None:
        self.source = Fixed(shown or cluster())
        self.sparklines = Sparklines()
        for number in range(30):
            self.source.now_s = NOW - (29 - number) * INTERVAL_S
            uptime_secs = int(self.source.now_s) - NOW + 700
            made_up.beat(
                self.source.cluster,
                B,
                self.source.now_s,
                uptime_secs,
                factor=number + 1,
            )
            self.sparklines.on_view(self.source.view())
        self.source.now_s = NOW + 20
        address = AdminAddress("127.0.0.1", 0)
        self.web = WebServer(address, self.source, self.sparklines)
        self._is_closed = False
        self.url = f"http://127.0.0.1:{self.web.address.port}"

    def close(self) -> None:
        """Stop serving; may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self.web.close()


def cluster() -> TrackedCluster:
    """Return a cluster with a late worker, a hostile topology, and others."""
    cluster = TrackedCluster()
    hostile = f"{HOSTILE}-3-1700000000"
    others = [f"orders-{n}-{n}-1700000000" for n in range(4, 14)]
    cluster.on_listed(
        {TOPOLOGY: [A, B], hostile: [A], **{x: [A, B] for x in others}}, NOW
    )
    for topology_id in (TOPOLOGY, hostile, *others):
        for worker in (A, B):
            details = made_up.value(made_up.executors_of(worker))
            cluster.on_value(topology_id, worker, details, NOW + 18)
            if (topology_id, worker) != (TOPOLOGY, A):
                fresh = made_up.value(made_up.executors_of(worker), NOW + 18, 718)
                cluster.on_value(topology_id, worker, fresh, NOW + 18)
    cluster.on_nodes(made_up.NODES)
    cluster.on_nodes(None)
    return cluster


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve the pages."""
    site = Site()
    yield site
    site.close()


@contextlib.contextmanager
def browser(*options: str, size: tuple[int, int] = DESK) -> Iterator[webdriver.Chrome]:
    """Start Chromium without a window."""
    chosen = webdriver.ChromeOptions()
    chosen.binary_location = program("chromium")
    width, height = size
    for option in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--window-size={width},{height}",
        *options,
    ):
        chosen.add_argument(option)
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(chosen, webdriver.ChromeService(program("chromedriver")))
    try:
        driver.set_page_load_timeout(WAIT_S)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False}
        )
        yield driver
    finally:
        driver.quit()


def eventually(driver: webdriver.Chrome, look: Callable[[], object]) -> None:
    """Wait until something is so."""
    WebDriverWait(driver, WAIT_S, 0.2).until(lambda _: look())


def text_of(driver: webdriver.Chrome) -> str:
    """Return the text that is shown."""
    shown: str = driver.execute_script("return document.body.innerText")
    return shown


def violations(driver: webdriver.Chrome) -> list[str]:
    """Return what axe finds, by rule and element."""
    package = importlib.resources.files("axe_selenium_python")
    # Evaluated by the debugger, so that the page's policy does not forbid it.
    source = (package / "node_modules" / "axe-core" / "axe.min.js").read_text(
        encoding="utf-8"
    )
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": source})
    found: dict[str, Any] = driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then(done)"
    )
    return [
        f"{each['id']}: {[node['html'][:200] for node in each['nodes']]}"
        for each in found["violations"]
    ]


def complaints(driver: webdriver.Chrome) -> list[str]:
    """Return what the browser has logged, such as violations of the policy."""
    entries: list[dict[str, str]] = driver.get_log("browser")  # type: ignore[no-untyped-call]
    messages = [entry["message"] for entry in entries]
    return [message for message in messages if "favicon.ico" not in message]


def keep(driver: webdriver.Chrome, name: str) -> None:
    """Keep a screenshot for the documentation."""
    if SCREENSHOT:
        Path(SCREENSHOT).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(SCREENSHOT) / name))


def test_a_screenshot_of_the_page() -> None:
    """The picture in docs/observe.md shows a worker that has died."""
    site = Site(pictured())
    try:
        with browser(size=(1280, 560)) as driver:
            driver.get(site.url)
            assert "has sent no heartbeat" in text_of(driver)
            keep(driver, "observe.png")
    finally:
        site.close()


def test_every_page_is_accessible_and_harmless(site: Site) -> None:
    """Axe finds nothing, nothing is blocked, and hostile names are only text."""
    paths = (
        "/",
        f"/topology/{TOPOLOGY}",
        f"/topology/{TOPOLOGY}/component/count",
        f"/topology/{TOPOLOGY}/worker/{A}",
        "/nothing",
    )
    with browser() as driver:
        for path in paths:
            driver.get(site.url + path)
            assert violations(driver) == [], path
            assert driver.execute_script("return window.harm") is None
        driver.get(site.url)
        assert "has sent no heartbeat for 18 s" in text_of(driver)
        assert '<img src=x onerror="window.harm=1">' in text_of(driver)
        assert not [each for each in complaints(driver) if "404" not in each]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_dark_mode_and_narrow_screens_are_readable(
    site: Site, size: tuple[int, int]
) -> None:
    """Contrast is enough, and only tables scroll sideways."""
    with browser(size=size) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
        )
        for path in ("/", f"/topology/{TOPOLOGY}"):
            driver.get(site.url + path)
            background = driver.execute_script(
                "return getComputedStyle(document.body).backgroundColor"
            )
            assert background == "rgb(21, 21, 21)"
            assert violations(driver) == []
            width = driver.execute_script("return document.body.scrollWidth")
            assert width <= size[0]


def test_the_page_refreshes_and_keeps_the_focus(site: Site) -> None:
    """The sentence changes without a reload; a focused link stays focused."""
    with browser() as driver:
        driver.get(site.url)
        driver.execute_script("window.mark = 1")
        path = f"/topology/{TOPOLOGY}"
        driver.execute_script(
            f"document.querySelector('main td a[href=\"{path}\"]').focus()"
        )
        made_up.beat(site.source.cluster, A, NOW + 20, uptime_secs=720)
        eventually(driver, lambda: "has sent no heartbeat" not in text_of(driver))
        assert driver.execute_script("return window.mark") == 1
        focused = "return document.activeElement.getAttribute('href')"
        assert driver.execute_script(focused) == path
        assert "refreshed every 5 s" in text_of(driver)
        site.close()
        eventually(driver, lambda: "observe does not answer" in text_of(driver))


def test_a_hidden_page_pauses(site: Site) -> None:
    """A tab in the background asks for nothing."""
    with browser() as driver:
        driver.get(site.url)
        driver.execute_script(
            "Object.defineProperty(document, 'hidden', {get: () => true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        assert "paused while hidden" in text_of(driver)


def test_it_works_without_script(site: Site) -> None:
    """The page is whole, and links lead on."""
    with browser("--blink-settings=scriptEnabled=false") as driver:
        driver.get(site.url)
        link = driver.find_element("css selector", f'td a[href="/topology/{TOPOLOGY}"]')
        link.click()
        eventually(driver, lambda: driver.current_url.endswith(TOPOLOGY))
        assert "Components" in driver.find_element("css selector", "main").text


def test_it_is_navigated_by_keyboard(site: Site) -> None:
    """The first Tab is the skip link, and Enter opens a topology."""
    with browser() as driver:
        driver.get(site.url)
        body = driver.find_element("css selector", "body")
        body.send_keys(Keys.TAB)
        focused = "return document.activeElement.textContent"
        assert driver.execute_script(focused) == "Skip to the content"
        for _ in range(60):
            driver.switch_to.active_element.send_keys(Keys.TAB)
            at = "return document.activeElement.getAttribute('href')"
            if driver.execute_script(at) == f"/topology/{TOPOLOGY}":
                break
        driver.switch_to.active_element.send_keys(Keys.ENTER)
        eventually(driver, lambda: driver.current_url.endswith(TOPOLOGY))
