"""Run all checks that a release must pass, and print the problems they find.

    python -m release.check [STEP ...]

All steps run even if one fails, so that one run shows every problem.  The steps that
try the packages need root, debootstrap and lintian.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import yaml

from pacemaker._version import __version__
from release.dist import ROOT, ReleaseError, run

CHART: Final = Path("deploy/helm/storm-pacemaker-py/Chart.yaml")

IMAGE_VERSION: Final = "org.opencontainers.image.version"


def versions(root: Path = ROOT, version: str = __version__) -> Iterator[str]:
    """Yield each place that names another version, or has no date for this one."""
    chart = yaml.safe_load((root / CHART).read_text())
    for key in ("version", "appVersion"):
        if chart[key] != version:
            yield f"{CHART}: {key} is {chart[key]}, but must be {version}"
    image = (root / "Dockerfile").read_text(encoding="utf-8")
    if f'{IMAGE_VERSION}="{version}"' not in image:
        yield f"Dockerfile: {IMAGE_VERSION} is not {version}"
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\] - (.+)$", changes, re.MULTILINE)
    if newest is None or newest[1] != version:
        yield f"CHANGELOG.md: the newest section is not [{version}]"
    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", newest[2]):
        yield f"CHANGELOG.md: [{version}] needs a date, YYYY-MM-DD, not {newest[2]!r}"


def clean_tree(root: Path = ROOT) -> Iterator[str]:
    """Yield the files that are not committed."""
    for line in run("git", "status", "--porcelain", cwd=root).splitlines():
        yield f"not committed: {line[3:]}"


def made(*target: str) -> Callable[[], Iterator[str]]:
    """Return a step that runs `make` with a target."""

    def step() -> Iterator[str]:
        # Nothing that can be left out on a developer's machine is left out here.
        strict = os.environ | {"REQUIRE_HELM": "1"}
        command = ("make", *target)
        done = subprocess.run(command, cwd=ROOT, env=strict, check=False)  # noqa: S603
        if done.returncode:
            yield f"make {' '.join(target)} failed with exit code {done.returncode}"

    return step


def lintian() -> Iterator[str]:
    """Yield the errors that lintian finds in the packages."""
    for package in sorted((ROOT / "dist").glob("*.deb")):
        found = run("lintian", "--fail-on", "none", package)
        yield from (line for line in found.splitlines() if line.startswith("E:"))


def wheel() -> Iterator[str]:
    """Yield what fails when the wheel is installed with each extra on each Python."""
    done = subprocess.run(
        (sys.executable, "-m", "release.wheels", "dist"), cwd=ROOT, check=False
    )
    if done.returncode:
        yield f"release.wheels ended with {done.returncode}"


STEPS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "versions": versions,
    "clean-tree": clean_tree,
    "tests": made("test"),
    "interpreters": made("matrix"),
    "manual": made("docs"),
    "packages": made("deb"),  # `make deb` makes the wheel as well
    "wheel": wheel,
    "lintian": lintian,
    "fresh-systems": made("fresh-test"),
}


def main(names: list[str]) -> int:
    """Run the steps; return how many failed."""
    unknown = set(names) - set(STEPS)
    if unknown:
        sys.exit(
            f"Error: no such step: {', '.join(unknown)}; the steps are"
            f" {', '.join(STEPS)}"
        )
    failed = 0
    for name in names or STEPS:
        print(f"==> release-check: {name}", flush=True)  # noqa: T201
        try:
            problems = list(STEPS[name]())
        except (ReleaseError, OSError) as exc:
            problems = [str(exc)]
        for problem in problems:
            print(f"    {name}: {problem}")  # noqa: T201
        failed += bool(problems)
    print(f"{len(names or STEPS) - failed} passed, {failed} failed")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
