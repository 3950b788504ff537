"""Alerts and dashboard: their metrics exist, and alerts fire as they should."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pacemaker.server.metrics import families
from tests.real.child import Child
from tests.real.daemons import free_port
from tests.real.jvm import ROOT, program
from tests.server.test_admin import Served
from tests.server.test_metrics import MEASURED
from tests.test_upgrade import put
from tests.wire.by_hand import Wire

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "storm-pacemaker.rules.yml"
RULE_TESTS = PROMETHEUS / "storm-pacemaker.rules.test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "storm-pacemaker.json"
JMX = ROOT / "deploy" / "jmx" / "storm-pacemaker.yml"
PAGE = ROOT / "docs" / "metrics.md"
GIVE_UP_S = 60.0

_NAME = re.compile(r"\b(?:storm_pacemaker|process)_[a-z_]+")


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    loaded = yaml.safe_load(RULES.read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    """Return what the panels ask Prometheus."""
    return [each["expr"] for panel in panels() for each in panel.get("targets", ())]


def shown() -> set[str]:
    """Return the names of all series that the daemon shows."""
    return {sample.name for family in families(MEASURED) for sample in family.samples}


def from_the_jvm_alone() -> set[str]:
    """Return the names that only the JMX exporter gives."""
    return {rule["name"] for rule in yaml.safe_load(JMX.read_text())["rules"]} - shown()


def test_alerts_ask_for_what_there_is() -> None:
    """A name that nobody shows never fires."""
    asked = {name for rule in rules() for name in _NAME.findall(rule["expr"])}
    assert asked <= shown()


def test_panels_ask_for_what_there_is() -> None:
    """A name that nobody shows is an empty panel."""
    asked = {name for each in expressions() for name in _NAME.findall(each)}
    assert asked - from_the_jvm_alone() <= shown()
    assert from_the_jvm_alone() == {"storm_pacemaker_recent_pulse_size_bytes"}


def test_page_lists_what_there_is() -> None:
    """Each series of the daemon, and no other."""
    named = {re.sub("_(bucket|sum|count)$", "", name) for name in shown()}
    listed = set(_NAME.findall(PAGE.read_text(encoding="utf-8")))
    assert listed - from_the_jvm_alone() == named


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alert_has_a_runbook_and_tests(rule: dict[str, Any]) -> None:
    """A page says what it means and what to do; tests see it fire, and not fire."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text(encoding="utf-8")
    assert anchor == rule["alert"].lower()
    cases = [
        case
        for group in yaml.safe_load(RULE_TESTS.read_text())["tests"]
        for case in group["alert_rule_test"]
        if case["alertname"] == rule["alert"]
    ]
    assert any("exp_alerts" in case for case in cases)
    assert any("exp_alerts" not in case for case in cases)


def test_panels_are_laid_out() -> None:
    """Each has its number, its place, its unit and what it means."""
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["unit"]


def promtool(*arguments: str | Path, cwd: Path = PROMETHEUS) -> str:
    """Run promtool; return what it says if it has something against its input."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.real
def test_promtool_accepts_the_rules() -> None:
    """Each alert fires when it should, and is silent for a cluster that is well."""
    assert promtool("check", "rules", RULES) == ""
    assert promtool("check", "config", "--syntax-only", "prometheus.yml") == ""
    assert promtool("test", "rules", RULE_TESTS) == ""


@pytest.mark.real
def test_promtool_accepts_the_expressions_of_the_panels(tmp_path: Path) -> None:
    """Each is tried as a rule, with Grafana's variables replaced."""
    wrapped = [
        {"record": f"panel:{number}", "expr": each.replace("$__rate_interval", "1m")}
        for number, each in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": wrapped}]}))
    assert promtool("check", "rules", file) == ""


class Prometheus(Child):
    """Debian's Prometheus, which scrapes one daemon each second.

    Args:
        folder: for its configuration and its data.
        target: where the daemon's endpoint is.
    """

    def __init__(self, folder: Path, target: str) -> None:
        self._place = ("127.0.0.1", free_port())
        # Alerts wait for a minute, so that one lost scrape wakes nobody; a test need
        # not wait as long.
        quick = re.sub(r"for: \d+m", "for: 1s", RULES.read_text())
        (folder / "rules.yml").write_text(quick)
        scrape = {
            "job_name": "storm-pacemaker",
            "static_configs": [{"targets": [target]}],
        }
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        super().__init__(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self._place[0]}:{self._place[1]}",
            ]
        )
        self.logged("Server is ready to receive web requests", GIVE_UP_S)

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection(*self._place, timeout=GIVE_UP_S)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/v1/{path}")
            return json.load(connection.getresponse())["data"]

    def rest(self) -> None:
        """Let it work for a moment: it says nothing that could be waited for."""
        self.stdout.take(0.2)

    def value(self, query: str) -> float | None:
        """Return the value of the only series of a query; None if there is none."""
        result = self._get(f"query?query={query}")["result"]
        return float(result[0]["value"][1]) if result else None

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self._get("alerts")["alerts"]
        return {
            alert["labels"]["alertname"]
            for alert in alerts
            if alert["state"] == "firing"
        }


@pytest.fixture
def served() -> Iterator[Served]:
    """Run a daemon with an endpoint."""
    with Served("--admin", "127.0.0.1:0") as daemon:
        yield daemon


@pytest.mark.real
def test_prometheus_sees_an_outage(served: Served, tmp_path: Path) -> None:
    """It scrapes a daemon, and fires once that is gone, and for nothing else."""
    with Prometheus(tmp_path, str(served.admin)) as prometheus:
        with Wire(served.address) as peer:
            put(peer)
        deadline_s = time.monotonic() + GIVE_UP_S
        while prometheus.value("storm_pacemaker_keys") != 1.0:
            assert time.monotonic() < deadline_s
            prometheus.rest()
        assert "StormPacemakerDown" not in prometheus.firing()
        served.stop()
        while "StormPacemakerDown" not in prometheus.firing():
            assert time.monotonic() < deadline_s
            prometheus.rest()
