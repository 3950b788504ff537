"""The figures of the last ten minutes."""

from __future__ import annotations

import dataclasses

from pacemaker.observe.views.make_views import make_cluster_view
from pacemaker.observe.views.sparklines import INTERVAL_S, POINTS, Sparklines
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY


def test_a_point_is_taken_every_twenty_seconds() -> None:
    """Views in between make none, and the oldest go."""
    view = make_cluster_view(made_up.running(), NOW)
    sparklines = Sparklines()
    for second in range(0, (POINTS + 5) * INTERVAL_S, 5):
        sparklines.on_view(dataclasses.replace(view, time_s=NOW + second))
    assert len(sparklines.of(TOPOLOGY)) == POINTS
    assert sparklines.of(TOPOLOGY)[0] == view.topologies[0].rates.emitted
    assert sparklines.of(TOPOLOGY, "none") == ()


def test_a_clock_that_is_set_back_does_not_stop_it() -> None:
    """The next view makes a point."""
    view = make_cluster_view(made_up.running(), NOW)
    sparklines = Sparklines()
    sparklines.on_view(view)
    sparklines.on_view(dataclasses.replace(view, time_s=NOW - 5000))
    assert len(sparklines.of(TOPOLOGY)) == 2


def test_series_end_with_their_topology() -> None:
    """Nothing is remembered of what has gone."""
    view = make_cluster_view(made_up.running(), NOW)
    sparklines = Sparklines()
    sparklines.on_view(view)
    sparklines.on_view(dataclasses.replace(view, time_s=NOW + 60, topologies=()))
    assert sparklines.of(TOPOLOGY) == ()
