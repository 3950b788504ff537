"""Tests of the cluster tests' figures; no cluster is needed to add them up."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import outages, results, tries
from tests.cluster.results import Case

OURS = Case("2. one is killed", "2.8.3", "storm-pacemaker-py")
JVM = OURS._replace(pacemaker="JVM")


def scenario_try(case: Case, **figures: Any) -> dict[str, Any]:
    """Return the figures of a scenario's try as they are recorded."""
    usual = {"back_s": 2.5, "lost": 3, "moved": 0, "executors": 12, "round_s": 10.1}
    more = {"nimbus_ended": 0, "gap_s": 3.2}
    return {**case._asdict(), **usual, **more, **figures}


def outage_try(outage_s: int, how: signal.Signals, **figures: Any) -> dict[str, Any]:
    """Return the figures of an outage of ours as they are recorded."""
    usual = {"not_alive": [], "gaps_s": [3.1, 4.2], "back_s": 0.1, "nimbus_ended": 0}
    which = {"release": "2.8.3", "pacemaker": OURS.pacemaker, "holds": True}
    return {
        **which,
        "kept": True,
        "outage_s": outage_s,
        "signal": how.name,
        **usual,
        **figures,
    }


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with nothing in it yet, and nothing tried."""
    monkeypatch.setenv("CLUSTER_RESULTS", str(tmp_path / "tries"))
    monkeypatch.setattr(tries, "DOCS", tmp_path)
    for name in (results.SUMS, outages.SUMS):
        tries.save(name, [])
    path = tmp_path / tries.PAGE
    marks = "".join(
        f"<!-- {mark}: begin -->\n<!-- {mark}: end -->\n"
        for mark in ("results", "outages")
    )
    path.write_text(f"Before\n{marks}After\n")
    relays = "<!-- relays: begin -->\n<!-- relays: end -->\n"
    path.with_name(tries.RELAYS_PAGE).write_text(relays)
    return path


def test_tries_are_added_to_those_of_other_runs(page: Path) -> None:
    """The least and the most of all, each number that moved, and each try once."""
    tries.append(results.FILE, scenario_try(JVM))
    results.write_table()
    for figures in ({"back_s": 0.5, "moved": 4}, {"lost": 9, "nimbus_ended": 1}):
        tries.append(results.FILE, scenario_try(OURS, **figures))
    results.write_table()
    before = page.read_text()
    results.write_table()
    assert page.read_text() == before
    assert tries.recorded(results.FILE) == []
    of_jvm, ours = tries.restored(results.SUMS, results.Sum)
    assert (of_jvm.key, of_jvm.tries) == (JVM, 1)
    assert ours == results.Sum(
        *OURS, 2, 12, [0.5, 2.5], [3, 9], [0, 4], [10.1, 10.1], 1, [3.2, 3.2]
    )


def test_table_says_where_more_moved_than_with_the_jvm(page: Path) -> None:
    """A row for each case, and what stands out among those tried with both."""
    for case, moved in ((OURS, 6), (JVM, 4), (OURS._replace(release="1.2.4"), 6)):
        tries.append(results.FILE, scenario_try(case, moved=moved))
    results.write_table()
    text = page.read_text()
    assert (
        "| 2. one is killed | 2.8.3 | storm-pacemaker-py | 1 | 2.5 s | 3 | 3.2 s |"
        " 6 of 12 | 10.1 s | 0 of 1 |\n"
    ) in text
    assert "the JVM's worst: 2. one is killed (2.8.3).\n" in text
    assert text.startswith("Before\n<!-- results: begin -->\n| scenario |")
    assert text.endswith("<!-- outages: end -->\nAfter\n")


def test_what_happened_with_relays_has_a_table_of_its_own(page: Path) -> None:
    """Of each event, first what happened without relays."""
    case = OURS._replace(scenario="2. relays: one is killed")
    alone = case._replace(scenario="2. without relays: one is killed")
    restarted = case._replace(scenario="3. relays: both are restarted")
    for one in (case, alone, restarted, case._replace(pacemaker="JVM")):
        tries.append(results.FILE, scenario_try(one))
    results.write_table()
    assert "one is killed" not in page.read_text()
    rows = page.with_name(tries.RELAYS_PAGE).read_text().splitlines()[3:-1]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| one is killed", "**no relays**, Storm 2.8.3"],
        ["| one is killed", "relays, Storm 2.8.3, JVM's Pacemakers"],
        ["| one is killed", "relays, Storm 2.8.3"],
        ["| both are restarted", "relays, Storm 2.8.3"],
    ]
    assert rows[0].endswith(" | 1 | 3 | 3.2 s | 10.1 s | 0 | 0 of 1 |")


def test_outages_are_added_to_those_of_other_runs(page: Path) -> None:
    """Whatever the signal, but for the one that upgrades; a column for each kind."""
    for line in (
        outage_try(5, signal.SIGTERM),
        outage_try(5, signal.SIGKILL, not_alive=["e1", "e2"], gaps_s=[9.6]),
        outage_try(0, signal.SIGUSR2),
        {**outage_try(25, signal.SIGTERM), "pacemaker": "JVM", "kept": False},
    ):
        tries.append(outages.FILE, line)
        outages.write_tables()
    assert tries.recorded(outages.FILE) == []
    first = page.read_text().partition("executors:\n\n")[2].partition("\n\n")[0]
    assert first.splitlines() == [
        "| outage | port kept, misses held | JVM's Pacemaker |",
        "| --- | --- | --- |",
        "| upgrade in place | 0 of 1 |  |",
        "| 5 s | 1 of 2 |  |",
        "| 25 s |  | 0 of 1 |",
    ]
    assert "| 5 s | 4 to 10 s |  |" in page.read_text()


def test_published_tables_are_made_of_the_published_sums() -> None:
    """Nobody has changed one of them by hand, and not the other."""
    text = (tries.DOCS / tries.PAGE).read_text()
    sums = tries.restored(results.SUMS, results.Sum)
    assert results.table(sums) in text
    relays = (tries.DOCS / tries.RELAYS_PAGE).read_text()
    assert results.relays_table(sums) in relays
    assert outages.tables(tries.restored(outages.SUMS, outages.Sum)) in text
