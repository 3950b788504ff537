"""The figures of the last ten minutes."""

from __future__ import annotations

import dataclasses

from pacemaker.observe.history import EVERY_S, POINTS, History
from pacemaker.observe.picture import cluster_view
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY


def test_a_point_is_taken_every_twenty_seconds() -> None:
    """Views in between make none, and the oldest go."""
    view = cluster_view(made_up.running(), NOW)
    history = History()
    for second in range(0, (POINTS + 5) * EVERY_S, 5):
        history.on_view(dataclasses.replace(view, time_s=NOW + second))
    assert len(history.of(TOPOLOGY)) == POINTS
    assert history.of(TOPOLOGY)[0] == view.topologies[0].rates.emitted
    assert history.of(TOPOLOGY, "none") == ()


def test_a_clock_that_is_set_back_does_not_stop_it() -> None:
    """The next view makes a point."""
    view = cluster_view(made_up.running(), NOW)
    history = History()
    history.on_view(view)
    history.on_view(dataclasses.replace(view, time_s=NOW - 5000))
    assert len(history.of(TOPOLOGY)) == 2


def test_series_end_with_their_topology() -> None:
    """Nothing is remembered of what has gone."""
    view = cluster_view(made_up.running(), NOW)
    history = History()
    history.on_view(view)
    history.on_view(dataclasses.replace(view, time_s=NOW + 60, topologies=()))
    assert history.of(TOPOLOGY) == ()
