"""Alerts and dashboard of topologies: their metrics exist, and alerts fire."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml

from pacemaker.observe.views.make_views import make_cluster_view
from pacemaker.observe.web.metrics import families
from tests.observe import made_up
from tests.real.jvm import ROOT, program

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "storm-topologies.rules.yml"
RULE_TESTS = PROMETHEUS / "storm-topologies.rules.test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "storm-topologies.json"
PAGE = ROOT / "docs" / "observe.md"

_NAME = re.compile(r"\bstorm_(?:observe|topology|component|nimbus|slots)_?[a-z0-9_]*")


def shown() -> set[str]:
    """Return the names of all series."""
    cluster = made_up.running()
    cluster.on_nodes(made_up.NODES)
    view = make_cluster_view(cluster, made_up.NOW)
    found = {family.name for family in families(view)}
    return found | {f"{name}_total" for name in found}


def rules() -> list[dict[str, str]]:
    """Return the alerts."""
    loaded = yaml.safe_load(RULES.read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def test_alerts_and_panels_ask_for_what_there_is() -> None:
    """A name that nobody shows never fires, and is an empty panel."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [rule["expr"] for rule in rules()]
    asked += [target["expr"] for panel in panels for target in panel["targets"]]
    names = {name for each in asked for name in _NAME.findall(each)}
    assert names <= shown()
    assert len(names) > 10


def test_every_alert_has_a_test() -> None:
    """It is tried on a cluster that is well, and on one that is not."""
    tests = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    for test in tests:
        tried = {each["alertname"] for each in test["alert_rule_test"]}
        assert tried == {rule["alert"] for rule in rules()}


def test_the_page_lists_what_there_is() -> None:
    """Each metric and each alert is in docs/observe.md."""
    text = PAGE.read_text()
    families_ = {name for name in shown() if not name.endswith("_total")}
    missing = {
        name
        for name in families_
        if f"{name}`" not in text and f"{name}_total`" not in text
    }
    assert not missing
    assert all(rule["alert"] in text for rule in rules())


@pytest.mark.io
@pytest.mark.real
def test_alerts_fire_as_they_should() -> None:
    """The rules are run on made-up series, by promtool."""
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(RULE_TESTS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
