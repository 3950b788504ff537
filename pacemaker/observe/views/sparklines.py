"""The last ten minutes of a few figures, for sparklines; pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from pacemaker.observe.views.cluster_view import ClusterView

SPAN_S: Final = 600
# The time between two points.
INTERVAL_S: Final = 20

POINTS: Final = SPAN_S // INTERVAL_S

# Anyone can store heartbeats of forged topologies, which must not fill the memory.
# Series beyond this number are not kept.
MAX_SERIES: Final = 20_000

_Key: TypeAlias = tuple[str, str]


class Sparklines:
    """Remembers rates, in tuples a second, by topology and component.

    For topologies and spouts it is the emitted tuples, for bolts the executed ones.
    """

    def __init__(self) -> None:
        self._series: dict[_Key, deque[float]] = {}
        self._next_s = 0.0

    def on_view(self, view: ClusterView) -> None:
        """Add a point from a view, if it is time for one."""
        # A clock that is set back must not stop the history.
        if self._next_s - INTERVAL_S <= view.time_s < self._next_s:
            return
        self._next_s = view.time_s + INTERVAL_S
        before, self._series = self._series, {}
        for topology in view.topologies:
            self._add(before, (topology.id, ""), topology.rates.emitted)
            for component in topology.components:
                rates = component.rates
                value = rates.emitted if component.is_spout else rates.executed
                self._add(before, (topology.id, component.name), value)

    def of(self, topology_id: str, component: str = "") -> Sequence[float]:
        """Return the points of a series, the oldest first."""
        return self._series.get((topology_id, component), ())

    def _add(self, before: dict[_Key, deque[float]], key: _Key, value: float) -> None:
        if len(self._series) >= MAX_SERIES:
            return
        series = before.get(key)
        if series is None:
            series = deque(maxlen=POINTS)
        series.append(value)
        self._series[key] = series
