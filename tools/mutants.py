"""Try changes of single expressions on the core, and write which ones no test sees.

mutmut makes the changes and runs the tests (`[tool.mutmut]` in pyproject.toml names the
modules and the tests).  All changes take an hour, so this tries a sample, which is the
same each time for the same code; the argument 0 tries all.  The outcomes are kept in
`mutants/`, and a change is tried again only if the code has changed.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
MUTANTS = ROOT / "mutants"
PAGE = ROOT / "docs" / "mutants.md"
MUTMUT = Path(sys.executable).with_name("mutmut")
SEED = 6699
SAMPLE = 300

# mutmut's exit codes of a mutant.  None means that it was not tried.  Every other code
# means that a test failed, did not end, or crashed the interpreter.
SURVIVED = 0
WITHOUT_TESTS = (5, 33)

HEAD = """\
# Mutants of the core

`make mutants` changes the core in small ways (another operator, another constant, an
argument left out), one change at a time, and runs the unit tests of these modules on
each.  A change that no test notices shows code that is not tested, or that does not
matter.  This page is written by the command.

{tried} of {total} mutants were tried{sampled}: **{noticed} were noticed
({score:.0%})**.  The tests that measure memory, the slow ones (among them the state
machines) and those that open sockets were left out here, so `make test` notices more.
mutmut changes no decorated function and no constant of a module.

| module | mutants | tried | noticed | survived | not reached |
|---|---:|---:|---:|---:|---:|
"""


def mutmut(*arguments: str, quiet: bool = False) -> str:
    """Run mutmut; if it is quiet, return its output instead of showing it."""
    command = (str(MUTMUT), *arguments)
    stdout = subprocess.PIPE if quiet else None
    done = subprocess.run(  # noqa: S603  (mutmut alone)
        command, cwd=ROOT, check=True, stdout=stdout, text=True
    )
    return done.stdout or ""


def outcomes() -> dict[str, dict[str, int | None]]:
    """Return by module and mutant how its tests ended."""
    found = {}
    for path in sorted(MUTANTS.glob("pacemaker/**/*.meta")):
        by_name = json.loads(path.read_text())["exit_code_by_key"]
        if by_name:
            found[str(path.relative_to(MUTANTS)).removesuffix(".meta")] = by_name
    return found


def row(module: str, codes: list[int | None]) -> str:
    """Return one module's line of the table."""
    tried = [code for code in codes if code is not None]
    survived = tried.count(SURVIVED)
    unreached = sum(code in WITHOUT_TESTS for code in tried)
    noticed = len(tried) - survived - unreached
    cells = (len(codes), len(tried), noticed, survived, unreached)
    return f"| `{module}` | " + " | ".join(map(str, cells)) + " |"


def change(name: str) -> str:
    """Return the lines that a mutant takes out and puts in."""
    lines = mutmut("show", name, quiet=True).splitlines()
    return "\n".join(
        re.sub(r"^([+-]) *", r"\1 ", line)
        for line in lines
        if re.match(r"[+-](?!\+\+|--)", line)
    )


def page(made: dict[str, dict[str, int | None]], sample: set[str]) -> str:
    """Return the page: the score, a line for each module, and the survivors."""
    # Earlier runs may have tried others.
    found = {
        module: {name: code if name in sample else None for name, code in each.items()}
        for module, each in made.items()
    }
    codes = [code for by_name in found.values() for code in by_name.values()]
    tried = [code for code in codes if code is not None]
    counts = Counter(tried)
    noticed = len(tried) - counts[SURVIVED] - sum(counts[n] for n in WITHOUT_TESTS)
    is_sample = len(tried) < len(codes)
    text = HEAD.format(
        tried=len(tried),
        total=len(codes),
        sampled=f", a sample by the seed {SEED}" if is_sample else "",
        noticed=noticed,
        score=noticed / max(1, len(tried)),
    )
    text += "\n".join(row(name, list(found[name].values())) for name in found)
    text += "\n\n## Survivors\n"
    for module, by_name in found.items():
        names = [name for name, code in by_name.items() if code == SURVIVED]
        if names:
            text += f"\n`{module}`:\n\n```diff\n"
            text += "\n\n".join(map(change, names)) + "\n```\n"
    return text


def main() -> None:
    """Try the mutants and write the page."""
    size = int(sys.argv[1]) if sys.argv[1:] else SAMPLE
    # mutmut makes the mutants, and finds out which tests run which function, before it
    # tries any: these few are not more than a reason to do that.
    mutmut("run", "*frames*__mutmut_1")
    names = sorted(name for by_name in outcomes().values() for name in by_name)
    if size:
        # The same sample for the same code; no secret.
        names = random.Random(SEED).sample(names, min(size, len(names)))  # noqa: S311
    mutmut("run", "--max-children", str(os.cpu_count() or 1), *names)
    PAGE.write_text(page(outcomes(), set(names)))


if __name__ == "__main__":
    main()
