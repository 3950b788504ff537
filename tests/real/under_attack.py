"""Run the tests of Storm's own clients under each attack: `make isolation CLIENTS=1`.

    python -m tests.real.under_attack [--attack NAME]... [ARGUMENTS OF PYTEST...]
    python -m tests.real.under_attack --page REPORT...

The first form runs the tests and prints a table of their outcomes.  A run of all
attacks also writes the table into docs/isolation.md.  The second form writes that page
again from the reports of earlier runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.isolation.page import END
from benchmarks.page import insert
from tests.real.attacked import EACH, NAMES, UNFIT
from tests.real.jvm import RELEASES, ROOT

PAGE = ROOT / "docs" / "isolation.md"
BEGIN = "<!-- Written by `make isolation CLIENTS=1` from here ... -->"
REPORT = ROOT / "build" / "isolation-clients.jsonl"

CLIENTS = "test_storm_clients"
"""The module whose tests run once for each release."""

OTHERS = {
    "test_sasl_daemon": "authentication",
    "test_held_reads": "held reads",
    "test_upgrade": "reload",
    "test_restart": "restart",
}
"""The modules with further tests of Storm's clients, and the heads of their columns."""

_MIB = 2**20


@dataclass
class Outcomes:
    """What the tests under one attack have shown.

    Attributes:
        failures: for each column of the table, each test and how it failed; "" if it
            passed.
        opened: how many connections the attackers opened.
        sent_bytes: how much they sent.
    """

    failures: dict[str, dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    opened: int = 0
    sent_bytes: int = 0


def main() -> int:
    """Run the tests, or write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.under_attack")
    parser.add_argument("--attack", action="append", choices=NAMES)
    parser.add_argument("--page", type=Path, nargs="+", metavar="REPORT")
    wanted, arguments = parser.parse_known_args()
    if wanted.page:
        _write_page(_read(wanted.page))
        return 0
    status = _run(wanted.attack or [EACH], arguments)
    outcomes = _read([REPORT])
    _say(f"\n{describe(outcomes)}\n")
    if not wanted.attack and not arguments:
        _write_page(outcomes)
        _say(f"wrote {PAGE.relative_to(ROOT)}\n")
    return status


def count(lines: Iterable[str]) -> dict[str, Outcomes]:
    """Count the outcomes in a report, by attack."""
    outcomes: dict[str, Outcomes] = defaultdict(Outcomes)
    for line in lines:
        content = json.loads(line)
        of_attack = outcomes[content["attack"]]
        if "test" in content:
            _count_test(of_attack, content)
        else:
            of_attack.opened += content["opened"]
            of_attack.sent_bytes += content["sent_bytes"]
    return outcomes


def describe(outcomes: dict[str, Outcomes]) -> str:
    """Return the table, and lists of what failed and of what was not tried."""
    columns = [*RELEASES, *OTHERS.values()]
    heads = ["", *columns, "connections", "sent"]
    lines = [heads, ["---"] * len(heads)]
    lines += [
        _cells(name, outcomes[name], columns) for name in NAMES if name in outcomes
    ]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    failed = "\n".join(_failures(outcomes)) or "No test failed."
    unfit = "\n".join(f"- {name}: {reason}" for name, reason in UNFIT.items())
    return f"{table}\n\n{failed}\n\nNot tried:\n\n{unfit}\n"


def _count_test(outcomes: Outcomes, content: dict[str, Any]) -> None:
    module, _, test = content["test"].partition("::")
    column = OTHERS.get(module, content["release"])
    # A test has several lines if its teardown fails as well.
    failure = outcomes.failures[column].get(test) or content["failure"]
    outcomes.failures[column][test] = failure


def _cells(name: str, outcomes: Outcomes, columns: Sequence[str]) -> list[str]:
    counts = [_passed(outcomes.failures[column]) for column in columns]
    opened = f"{outcomes.opened:,}"
    return [name, *counts, opened, f"{outcomes.sent_bytes / _MIB:,.1f} MiB"]


def _passed(failures: dict[str, str]) -> str:
    if not failures:
        return "-"
    return f"{sum(not each for each in failures.values())} of {len(failures)}"


def _failures(outcomes: dict[str, Outcomes]) -> Iterator[str]:
    for name, of_attack in outcomes.items():
        for column, failures in of_attack.failures.items():
            for test, failure in failures.items():
                if failure:
                    yield f"- {name}, {column}: `{test}` failed"


def _run(attacks: Sequence[str], arguments: Sequence[str]) -> int:
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("")
    files = [str(Path(__file__).with_name(f"{each}.py")) for each in (CLIENTS, *OTHERS)]
    argv = [sys.executable, "-m", "pytest", *files, f"--attack-report={REPORT}"]
    argv += [f"--attack={name}" for name in attacks]
    return subprocess.run([*argv, *arguments], cwd=ROOT, check=False).returncode


def _read(files: Sequence[Path]) -> dict[str, Outcomes]:
    return count(line for file in files for line in file.read_text().splitlines())


def _write_page(outcomes: dict[str, Outcomes]) -> None:
    PAGE.write_text(insert(PAGE.read_text(), describe(outcomes), BEGIN, END))


def _say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    sys.exit(main())
