"""The figures of tries, from the machine where they were made to the page.

Each try is a line of JSON in a file that outlives the run.  After a run, its tries are
added to the totals of all earlier runs, which are kept beside the page, and the tables
are written again from these totals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from benchmarks.jars import ROOT, cache_dir

DOCS = ROOT / "docs"
PAGE = "cluster.md"
RELAYS_PAGE = "relay.md"

Key = tuple[Any, ...]


class Summed(Protocol):
    """What tries come to: a dataclass, whose first fields say of which tries."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> Key:
        """Its first fields, with which an empty one is made."""

    def add(self, one: Mapping[str, Any]) -> None:
        """Add the figures of a try."""


_Figure = TypeVar("_Figure", int, float)
_Sum = TypeVar("_Sum", bound=Summed)


def append(name: str, line: Mapping[str, Any]) -> None:
    """Add a try to one of the machine's files."""
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write of one line: processes side by side do not mix theirs.
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def recorded(name: str) -> list[dict[str, Any]]:
    """Return the tries that the machine keeps, the oldest first."""
    path = _folder() / name
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def _folder() -> Path:
    return Path(os.environ.get("CLUSTER_RESULTS") or cache_dir() / "cluster")


def restored(name: str, make: Callable[..., _Sum]) -> list[_Sum]:
    """Return the sums of one of the files beside the page."""
    lines = (DOCS / name).read_text().splitlines()
    return [make(**json.loads(line)) for line in lines]


def save(name: str, sums: Iterable[Summed]) -> None:
    """Write the sums of one of the files beside the page, a line each."""
    lines = (json.dumps(asdict(one)) for one in sums)
    (DOCS / name).write_text("".join(f"{line}\n" for line in lines))


def add_up(
    tries_name: str,
    sums_name: str,
    make: Callable[..., _Sum],
    key_of: Callable[[Mapping[str, Any]], Key],
    order: Callable[[_Sum], Key],
) -> list[_Sum]:
    """Move the tries that the machine keeps into the sums beside the page.

    Args:
        tries_name: the file of the tries.
        sums_name: the file of the sums.
        make: makes a sum of its fields, those of the key first.
        key_of: says which sum a try belongs to.
        order: sorts them.

    Returns:
        The sums, in order.
    """
    sums = {one.key: one for one in restored(sums_name, make)}
    for line in recorded(tries_name):
        key = key_of(line)
        sums.setdefault(key, make(*key)).add(line)
    in_order = sorted(sums.values(), key=order)
    save(sums_name, in_order)
    (_folder() / tries_name).unlink(missing_ok=True)
    return in_order


def replace_in_page(mark: str, text: str, name: str = PAGE) -> None:
    """Put text into a page, in the place of what is between two marks."""
    page = DOCS / name
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}{text}{end}{after}")


def ends(values: Sequence[_Figure]) -> list[_Figure]:
    """Return the least and the most of some figures."""
    return [min(values), max(values)]


def ranged(values: Sequence[float], unit: str = "") -> str:
    """Say in words what the least and the most of some figures are."""
    least, most = ends(values)
    return f"{least}{unit}" if least == most else f"{least} to {most}{unit}"
