"""The search for idle connections."""

from __future__ import annotations

import pytest

from pacemaker.server.io import limits
from pacemaker.server.io.idle_search import IdleSearch


class Connection:
    """A fake connection."""

    def __init__(self, is_idle: bool = True) -> None:
        self.is_idle = is_idle


def test_all_connections_are_looked_at_in_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look at thousands of connections at once would delay everybody."""
    monkeypatch.setattr(limits, "IDLE_SEARCH_STEP", 2)
    connections = {fd: Connection(is_idle=fd != 1) for fd in range(5)}
    found: list[Connection] = []
    search = IdleSearch(connections, found.append)
    now_s, counts = 100.0, []
    for _ in range(3):
        search.look(now_s)
        # Too soon.
        search.look(now_s + limits.IDLE_SEARCH_PAUSE_S / 2)
        counts.append(len(found))
        now_s += limits.IDLE_SEARCH_PAUSE_S
    assert counts == [2, 3, 4]
    assert connections[1] not in found
    # Then it begins again.
    search.look(now_s)
    assert len(found) == 6


def test_connection_that_has_ended_is_passed_over() -> None:
    """It may end while the search goes on."""
    connections = {fd: Connection() for fd in range(limits.IDLE_SEARCH_STEP + 1)}
    found: list[Connection] = []
    search = IdleSearch(connections, found.append)
    search.look(100.0)
    connections.clear()
    search.look(101.0)
    assert len(found) == limits.IDLE_SEARCH_STEP
