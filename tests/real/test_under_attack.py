"""Storm's own clients pass their tests while the daemon is attacked: a short form."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.isolation.attacks import ATTACKS
from tests.real import attacked
from tests.real.jvm import RELEASES, ROOT
from tests.real.under_attack import CLIENTS, count, describe

TWO = ("pulses", "churn")
"""One that keeps the daemon busy, one that comes and goes."""

ENDS = (RELEASES[0], RELEASES[-1])
"""The oldest and the newest release."""

# Without those that start daemons of their own: they wait for 11 s and longer.
WANTED = f"1-thread and ({' or '.join(ENDS)})"


@pytest.mark.real
@pytest.mark.skipif(
    os.environ.get("ALL") != "1", reason="takes two minutes: with ALL=1"
)
def test_clients_pass_their_tests_under_attack(tmp_path: Path) -> None:
    """The oldest and the newest client notice nothing of two attacks."""
    report = tmp_path / "report"
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", WANTED]
    argv += [f"--attack={name}" for name in TWO]
    argv += [f"--attack-report={report}", f"tests/real/{CLIENTS}.py"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    outcomes = count(report.read_text().splitlines())
    assert set(outcomes) == set(TWO)
    for each in outcomes.values():
        assert set(each.failures) == set(ENDS)
        assert each.opened > 0
        assert each.sent_bytes > 0


def line(test: str, release: str = "", failure: str = "") -> str:
    """Return a line of a report."""
    outcome = {"test": test, "release": release, "failure": failure}
    return json.dumps({"attack": "pulses", **outcome})


def test_report_is_counted_by_release() -> None:
    """A test counts once, as failed if any line says so."""
    lines = [
        line(f"{CLIENTS}::test_a[1.2.4]", "1.2.4"),
        line(f"{CLIENTS}::test_b[1.2.4]", "1.2.4"),
        line(f"{CLIENTS}::test_b[1.2.4]", "1.2.4", "the teardown failed"),
        line("test_restart::test_c"),
        json.dumps({"attack": "pulses", "opened": 1500, "sent_bytes": 3 * 2**20}),
    ]
    page = describe(count(lines))
    assert "| pulses | 1 of 2 | - | - | - | - | - | 1 of 1 | 1,500 | 3.0 MiB |" in page
    assert "- pulses, 1.2.4: `test_b[1.2.4]` failed" in page
    assert "No test failed." not in page


def test_each_attack_is_tried_or_has_a_reason() -> None:
    """`each` stands for all attacks but those that no client could live through."""
    assert {*attacked.chosen(["each"]), *attacked.UNFIT} == set(ATTACKS)


def test_names_of_attackers_are_removed_only_under_attack() -> None:
    """A list is compared without what attackers stored, if there are any."""
    long_name = b"00000001-".ljust(1200, b"n").decode()
    answer = f"LIST words-1-1700000000 hostile-1-1700000000 {long_name}"
    assert attacked.own_names(answer) == answer
    with attacked.by("long-names"):
        assert attacked.own_names(answer) == "LIST words-1-1700000000"
    assert attacked.own_names(answer) == answer


def test_daemon_has_fewer_descriptors_than_the_attack_connections() -> None:
    """An attack on descriptors stays one with the connections that it has here."""
    with attacked.by("silent"):
        command = attacked.command(["daemon"])
    found = re.search(r"ulimit -n (\d+) ", " ".join(command))
    assert found is not None
    assert int(found[1]) < attacked.MOST_CONNECTIONS


def test_daemon_is_started_as_ever_without_an_attack() -> None:
    """Without `--attack` nothing is added to the command."""
    assert attacked.command(["daemon"]) == ["daemon"]
