"""Run all attacks: `make isolation`.

    python -m benchmarks.isolation [--plan full|quick] [--attack NAME]...
                                   [--origin one|sixteen|own]... [--no-namespace]
    python -m benchmarks.isolation --page RESULTS

The first form runs each attack, prints its results when it is done, and saves them.  A
full run of all attacks also writes docs/isolation.md, with its results beside it.  The
second form writes that page again from saved results.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.isolation import judge, page
from benchmarks.isolation.attack import Attack
from benchmarks.isolation.attacks import ATTACKS
from benchmarks.isolation.network import Network, enter_namespace, network
from benchmarks.isolation.plans import PLANS, Wanted
from benchmarks.isolation.results import Results, Row, restore, save
from benchmarks.isolation.trial import ORIGINS, Trial
from benchmarks.jars import MissingError
from benchmarks.machine import describe_machine
from benchmarks.native import BUILD, ROOT
from benchmarks.page import insert
from benchmarks.precedence import precedence
from benchmarks.servers import KINDS

PAGE: Final = ROOT / "docs" / "isolation.md"
RESULTS: Final = PAGE.with_suffix(".json")
ALL: Final = "all"
# The machine may have been slow, not the daemon.
_TRIES_IF_SLOW: Final = 3


def main() -> int:
    """Run the requested trials, or write the page."""
    wanted = _arguments()
    if wanted.page:
        _write_page(restore(wanted.page))
        return 0
    if len(os.sched_getaffinity(0)) < 2:
        _say("the daemon and its attackers need a core each: no figure says anything\n")
        return 1
    if not wanted.no_namespace:
        enter_namespace("benchmarks.isolation", sys.argv[1:])
    # End as after Ctrl-C, so that no daemon is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    names = wanted.attack or [*ATTACKS, ALL]
    is_whole = wanted.plan == "full" and not wanted.attack and not wanted.origin
    # Trials of some attacks must not replace the results of a whole run.
    part = "" if is_whole else "-some"
    kept = BUILD / f"isolation-{wanted.plan}{part}.json"
    trials = _trials(wanted.plan, names, wanted.origin or ORIGINS, wanted.attack)
    with precedence() as is_preferred:
        if not is_preferred:
            _say("not root, or no autogroups: other sessions may disturb the figures\n")
        results = _try(wanted.plan, list(trials), network(), kept)
    if is_whole:
        save(results, RESULTS)
        _write_page(results)
        _say(f"\nwrote {PAGE.relative_to(ROOT)}; the results are beside it\n")
    else:
        _say(f"\n{page.describe(results)}\nkept in {kept.relative_to(ROOT)}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation")
    parser.add_argument("--plan", choices=list(PLANS), default="full")
    names = [*ATTACKS, ALL]
    parser.add_argument(
        "--attack",
        action="append",
        choices=names,
        metavar="NAME",
        help=", ".join(names),
    )
    parser.add_argument("--origin", action="append", choices=ORIGINS)
    parser.add_argument(
        "--no-namespace",
        action="store_true",
        help="take loopback's addresses, which the daemon is told to count",
    )
    parser.add_argument("--page", type=Path, metavar="RESULTS")
    return parser.parse_args()


def _trials(
    plan: str, names: Sequence[str], origins: Sequence[str], asked: Sequence[str] | None
) -> Iterator[tuple[Wanted, str]]:
    """Yield the trials: the way in which each is run, and the name of its attack."""
    for wanted in PLANS[plan]:
        for name in names:
            is_asked = bool(asked and name in asked)
            if wanted.origin in origins and (
                name == ALL or is_asked or wanted.fits(ATTACKS[name])
            ):
                yield wanted, name


def _try(
    plan: str, trials: Sequence[tuple[Wanted, str]], where: Network, kept: Path
) -> Results:
    described = "a namespace of their own" if where.is_namespace else "loopback's"
    results = Results(describe_machine(), _versions(), described, plan)
    began_s = time.monotonic()
    for wanted, name in trials:
        row = _measure(wanted, name, where)
        results.rows.append(row)
        results.minutes = round((time.monotonic() - began_s) / 60, 2)
        save(results, kept)
        _say(f"\n{row.server}, {row.origin}, {results.minutes:.1f} min\n")
        _say(f"{page.latency_table([row])}\n")
        if row.figures and wanted.plan.has_reload:
            _say(f"{page.limits_table([row])}\n")
    return results


def _measure(wanted: Wanted, name: str, where: Network) -> Row:
    """Return a trial; of one that is only too slow, the median of three."""
    tries = [_try_one(wanted, name, where)]
    if judge.is_only_slow(tries[0]):
        tries += [_try_one(wanted, name, where) for _ in range(_TRIES_IF_SLOW - 1)]
    row = judge.median(tries)
    row.tries = len(tries)
    return row


def _try_one(wanted: Wanted, name: str, where: Network) -> Row:
    attacks = _attacks(name)
    title = attacks[0].title if len(attacks) == 1 else "all of them at once"
    trial = Trial(attacks, where, wanted.origin, wanted.plan, wanted.server)
    row = Row(name, title, wanted.server, wanted.origin)
    row.pause_s = trial.pause_s
    row.budget_bytes = trial.daemon.budget_bytes
    row.is_digest = trial.daemon.is_digest
    try:
        row.figures = trial.run()
    except MissingError as exc:
        row.note = str(exc)
    except RuntimeError as exc:
        # The message contains the end of the daemon's log, if the daemon did not start.
        row.note = f"failed: {' '.join(str(exc).split())[-200:]}"
    return row


def _attacks(name: str) -> list[Attack]:
    if name == ALL:
        return [attack for attack in ATTACKS.values() if attack.goes_with_all]
    return [ATTACKS[name]]


def _versions() -> dict[str, str]:
    versions = {}
    for name in ("ours", "jvm"):
        try:
            versions[KINDS[name].label] = KINDS[name].version()
        except MissingError as exc:
            versions[KINDS[name].label] = str(exc)
    return versions


def _write_page(results: Results) -> None:
    text = insert(PAGE.read_text(), page.describe(results), page.BEGIN, page.END)
    PAGE.write_text(text)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
