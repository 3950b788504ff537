"""All benchmarks, in one run: `make bench`.

    python -m benchmarks [--plan full|quick|smoke] [--row NAME]...
    python -m benchmarks --page RESULTS

The first form measures, prints each row when it is done, and saves the results.  A full
run of all rows also writes docs/performance.md and its plots, with the results beside
them.  The second form writes that page again from saved results.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import page, plots
from benchmarks.jars import MissingError
from benchmarks.machine import describe_machine
from benchmarks.native import BUILD, ROOT
from benchmarks.plans import PLANS, Plan
from benchmarks.precedence import precedence
from benchmarks.results import Results, restore, save
from benchmarks.row import Row
from benchmarks.rows import ROWS
from benchmarks.servers import KINDS

PAGE: Final = ROOT / "docs" / "performance.md"
PLOTS: Final = PAGE.parent / "plots"
RESULTS: Final = PAGE.with_suffix(".json")


def main() -> int:
    """Measure the requested rows, or write the page."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--plan", choices=list(PLANS), default="full")
    parser.add_argument(
        "--row", action="append", choices=names, metavar="ROW", help=", ".join(names)
    )
    parser.add_argument("--page", type=Path, metavar="RESULTS")
    wanted = parser.parse_args()
    if wanted.page:
        _write_page(restore(wanted.page), PAGE, PLOTS)
        return 0
    plan = PLANS[wanted.plan]
    rows = [
        row
        for row in ROWS
        if row.fits(plan) and (not wanted.row or row.name in wanted.row)
    ]
    kept = BUILD / f"results-{plan.name}.json"
    # End as after Ctrl-C, so that no server is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with precedence():
        results = _measure(plan, rows, kept)
    if plan.name == "full" and not wanted.row:
        save(results, RESULTS)
        _write_page(results, PAGE, PLOTS)
        _say(f"\nwrote {PAGE.relative_to(ROOT)}; the results are beside it\n")
    else:
        _say(f"\n{page.bars_table(results)}\n\nsaved in {kept.relative_to(ROOT)}\n")
    return 0


def _measure(plan: Plan, rows: Sequence[Row], kept: Path) -> Results:
    results = Results(describe_machine(), _versions(), plan.name)
    began_s = time.monotonic()
    for sitting in range(max(row.sittings(plan) for row in rows)):
        for row in rows:
            if sitting < row.sittings(plan):
                _say(f"\n{row.name}, {sitting + 1} of {row.sittings(plan)} ")
                result = results.rows.setdefault(row.name, row.describe(plan))
                row.measure(plan, result)
                results.minutes = round((time.monotonic() - began_s) / 60, 2)
                save(results, kept)
                _say(f" {results.minutes:.1f} min\n{page.row_table(result)}\n")
    return results


def _versions() -> dict[str, str]:
    versions = {}
    for name, kind in KINDS.items():
        try:
            versions[name] = kind.version()
        except MissingError as exc:
            versions[name] = str(exc)
    return versions


def _write_page(results: Results, path: Path, folder: Path) -> None:
    drawn = [
        (title, str(file.relative_to(path.parent)))
        for title, file in plots.draw(results, folder)
    ]
    path.write_text(page.insert(path.read_text(), page.describe(results, drawn)))


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
