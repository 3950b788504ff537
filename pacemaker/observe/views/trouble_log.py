"""Turn views into log lines: which troubles have begun and ended; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from pacemaker.observe.views.cluster_view import ClusterView, Trouble

_Id: TypeAlias = tuple[str, "str | None", str]


class LogLine(NamedTuple):
    """One line of the log.

    Attributes:
        is_bad: whether to log it as a warning.
        text: the line.
    """

    is_bad: bool
    text: str


class TroubleLog:
    """Compares each view with the previous one."""

    def __init__(self) -> None:
        self._before: dict[_Id, Trouble] = {}

    def lines(self, view: ClusterView) -> Iterator[LogLine]:
        """Yield the troubles that have begun or ended since the last view."""
        now = {(t.kind, t.topology_id, t.subject): t for t in view.troubles}
        for key, trouble in now.items():
            if key not in self._before:
                yield LogLine(trouble.is_bad, trouble.text)
        for key, trouble in self._before.items():
            if key not in now:
                yield LogLine(False, f"over: {trouble.text}")
        self._before = now
