"""`top` in a terminal of its own, driven by Textual's pilot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from pacemaker.observe.top.app import TopApp
from pacemaker.observe.tracking.cluster import ServerState, TrackedCluster
from tests.observe import made_up
from tests.observe.fixed import Fixed
from tests.observe.made_up import NOW, TOPOLOGY, A, B
from tests.observe.pictured import pictured

pytestmark = pytest.mark.io  # Textual's event loop has a socket pair

HOSTILE = "[red]\x1b[2J\x9b31m\u202e" + "x" * 10_000


class Screen:
    """What the pilot sees."""

    def __init__(self, app: TopApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and wait until the screen shows what they asked for."""
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def settle(self) -> None:
        """Wait until what was asked for is shown."""
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    def text(self, name: str) -> str:
        """Return the text of a line."""
        return str(self.app.query_one(f"#{name}", Static).content)

    @property
    def table(self) -> DataTable[Text]:
        """The table."""
        return self.app.query_one("#rows", DataTable)

    def titles(self) -> list[str]:
        """Return the titles of the columns."""
        return [str(column.label) for column in self.table.ordered_columns]

    def column(self, number: int) -> list[str]:
        """Return the cells of a column."""
        return [
            str(self.table.get_row_at(row)[number])
            for row in range(self.table.row_count)
        ]


def drive(
    cluster: TrackedCluster,
    script: Callable[[Screen], Awaitable[None]],
    columns: tuple[str, ...] = (),
    *,
    size: tuple[int, int] = (160, 40),
    now_s: float = NOW,
) -> None:
    """Run the application, and a script of keys and checks."""

    async def run() -> None:
        app = TopApp(Fixed(cluster, now_s), "state", "", columns, 60.0)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.settle()
            await script(screen)

    asyncio.run(run())


def two_topologies() -> TrackedCluster:
    """Return a cluster of "words", where a worker is late, and "zebra"."""
    cluster = TrackedCluster()
    cluster.on_listed({TOPOLOGY: [A, B], "zebra-2-1700000500": [A]}, NOW)
    details = made_up.value(made_up.executors_of(A))
    cluster.on_value("zebra-2-1700000500", A, details, NOW)
    cluster.on_value(TOPOLOGY, A, details, NOW)
    cluster.on_value(TOPOLOGY, B, made_up.value(made_up.executors_of(B), NOW - 20), NOW)
    return cluster


def test_a_screenshot_of_top() -> None:
    """The picture in docs/observe.md shows a worker that has died."""

    async def script(screen: Screen) -> None:
        assert "has sent no heartbeat" in screen.text("sentence")
        svg = screen.app.export_screenshot(title="storm-pacemaker-py top")
        assert "words" in svg
        if folder := os.environ.get("OBSERVE_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / "top.svg").write_text(svg)

    drive(pictured(), script, size=(150, 20), now_s=NOW + 20)


def test_trouble_comes_first() -> None:
    """The sentence, the troubles and the first row are about the late worker."""

    async def script(screen: Screen) -> None:
        assert "has sent no heartbeat for 20 s" in screen.text("sentence")
        assert screen.text("troubles").startswith("B words: worker")
        assert screen.column(0) == ["B", "-"]
        assert screen.column(1) == ["words", "zebra"]

    drive(two_topologies(), script)


def test_enter_opens_and_escape_goes_back() -> None:
    """Topologies, components, executors; and workers by a key."""

    async def script(screen: Screen) -> None:
        await screen.press("enter")
        assert screen.text("heading") == "words: components"
        await screen.press("enter")
        assert screen.text("heading") == "words: executors of count"
        assert screen.column(0) == ["2", "3"]
        await screen.press("escape", "w")
        assert screen.text("heading") == "words: workers"
        assert screen.column(2) == ["late", "ok"]
        await screen.press("enter")
        assert screen.text("heading") == f"words: executors of {B}"
        await screen.press("e")
        assert screen.text("heading") == "words: executors of all"
        await screen.press("escape", "escape")
        assert screen.text("heading") == "topologies"

    drive(two_topologies(), script)


def test_rows_are_sorted_by_any_column() -> None:
    """The title of the sorting column has an arrow, and r turns it round."""

    async def script(screen: Screen) -> None:
        assert screen.titles()[:2] == ["! ^", "TOPOLOGY"]
        await screen.press("s")
        assert screen.titles()[:2] == ["!", "TOPOLOGY ^"]
        await screen.press("r")
        assert screen.column(1) == ["zebra", "words"]
        await screen.press("S")
        assert screen.column(1) == ["words", "zebra"]

    drive(two_topologies(), script)


def test_rows_are_filtered_while_typing() -> None:
    """Enter keeps the filter, and the heading shows it."""

    async def script(screen: Screen) -> None:
        await screen.press("slash", "z", "e")
        assert screen.column(1) == ["zebra"]
        await screen.press("enter")
        assert screen.text("heading") == "topologies  [filter: ze]"
        await screen.press("slash", "backspace", "backspace", "escape")
        assert screen.column(1) == ["words", "zebra"]

    drive(two_topologies(), script)


def test_columns_are_chosen_and_hidden() -> None:
    """Those of --columns are shown; h hides one, H shows all."""

    async def script(screen: Screen) -> None:
        assert screen.titles() == ["! ^", "TOPOLOGY", "WORKERS"]
        await screen.press("h")
        assert screen.titles() == ["TOPOLOGY ^", "WORKERS"]
        await screen.press("H")
        assert len(screen.titles()) == 13

    drive(two_topologies(), script, columns=("state", "name", "workers"))


def test_the_cursor_stays_on_its_row() -> None:
    """A refresh keeps the selected topology, wherever it moves."""

    async def script(screen: Screen) -> None:
        await screen.press("down", "r")
        assert screen.column(1) == ["zebra", "words"]
        assert screen.table.cursor_row == 0

    drive(two_topologies(), script)


def test_age_of_the_data_and_missing_servers_are_shown() -> None:
    """The line below the sentence says how old the data are."""
    cluster = two_topologies()
    cluster.listed_s = NOW - 7
    cluster.on_servers([ServerState("pm1:1", None), ServerState("pm2:1", "refused")])

    async def script(screen: Screen) -> None:
        assert screen.text("freshness") == (
            "data 7 s old; Pacemakers 1/2; missing pm2:1;"
            " no ZooKeeper: names are guesses; every 60 s"
        )
        await screen.press("minus")
        assert screen.text("freshness").endswith("every 30 s")

    drive(cluster, script)


def test_names_cannot_drive_the_terminal() -> None:
    """Escape sequences, markup and endless names come out as plain, short text."""
    cluster = TrackedCluster()
    name = f"{HOSTILE}-1-1700000000"
    cluster.on_listed({name: [A, HOSTILE]}, NOW)
    cluster.on_value(name, A, made_up.value(made_up.executors_of(A), NOW - 20), NOW)
    cluster.on_value(name, HOSTILE, b"nonsense\x1b", NOW)

    async def script(screen: Screen) -> None:
        for keys in ((), ("enter",), ("w",), ("enter",)):
            await screen.press(*keys)
            shown = "".join(map(str, screen.app.query(Static).results()))
            shown += "".join(
                screen.text(n) for n in ("sentence", "troubles", "heading")
            )
            shown += "".join(
                cell
                for row in range(screen.table.row_count)
                for cell in map(str, screen.table.get_row_at(row))
            )
            assert "[red]" in shown
            assert not any(char in shown for char in "\x1b\x9b\u202e")
            assert len(max(screen.column(0), key=len, default="")) <= 60

    drive(cluster, script)


def test_without_colours_letters_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR takes the colours away; B and W say the same."""
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(screen: Screen) -> None:
        assert screen.column(0) == ["B", "-"]
        assert screen.app.no_color

    drive(two_topologies(), script)
