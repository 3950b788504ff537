"""The connections that are watched, and the sweep that checks them."""

from __future__ import annotations

import math

from pacemaker.server.io.limits import SWEEP_S
from pacemaker.server.io.watchlist import Watchlist


def test_sweep_checks_each_watched_connection_once() -> None:
    """A connection added during a sweep is checked in the next one."""
    watchlist: Watchlist[str] = Watchlist()
    for name in ("a", "b"):
        watchlist.add(name, 100.0)
    assert watchlist.next_s == 100.0 + SWEEP_S
    assert watchlist.next(100.0) is None
    first = watchlist.next(100.0 + SWEEP_S)
    watchlist.add("c", 100.0 + SWEEP_S)
    assert watchlist.next_s == 0.0
    second = watchlist.next(100.0 + SWEEP_S)
    assert {first, second} == {"a", "b"}
    assert watchlist.next(100.0 + SWEEP_S) is None
    assert watchlist.next_s == 100.0 + 2 * SWEEP_S
    assert watchlist.late_s == 0.0


def test_first_sweep_is_not_late() -> None:
    """The time in which nothing was watched does not count."""
    watchlist: Watchlist[str] = Watchlist()
    watchlist.add("a", 100.0)
    assert watchlist.discard("a")
    assert not watchlist.discard("a")
    assert watchlist.next_s == math.inf
    watchlist.add("b", 500.0)
    assert "b" in watchlist
    assert watchlist.next_s == 500.0 + SWEEP_S


def test_pause_within_a_sweep_makes_it_late() -> None:
    """A sweep of thousands takes many turns; the process may be paused between two."""
    watchlist: Watchlist[str] = Watchlist()
    for name in ("a", "b", "c"):
        watchlist.add(name, 100.0)
    now_s = 100.0 + SWEEP_S
    watchlist.next(now_s)
    assert watchlist.late_s == 0.0
    watchlist.next(now_s + 65.0)
    assert watchlist.late_s == 65.0
    # The last one of the same sweep was not asked either while nobody was.
    watchlist.next(now_s + 65.0)
    assert watchlist.late_s == 65.0


def test_late_sweep_says_how_late_it_is() -> None:
    """A late sweep means that the process was paused, so peers get that time back."""
    watchlist: Watchlist[str] = Watchlist()
    watchlist.add("a", 100.0)
    assert watchlist.next(100.0 + SWEEP_S + 65.0) == "a"
    assert watchlist.late_s == 65.0
    assert watchlist.next_s == 100.0 + SWEEP_S + 65.0 + SWEEP_S
