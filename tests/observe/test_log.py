"""The lines that `observe` logs."""

from __future__ import annotations

from pacemaker.observe.log import TroubleLog
from pacemaker.observe.picture import cluster_view
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY, A


def test_a_trouble_is_logged_when_it_begins_and_when_it_is_over() -> None:
    """Between these, its changing text makes no line."""
    engine = made_up.running()
    log = TroubleLog()
    assert not list(log.lines(cluster_view(engine, NOW)))
    details = made_up.value(made_up.executors_of(A))
    engine.on_value(TOPOLOGY, A, details, NOW + 10)
    (line,) = log.lines(cluster_view(engine, NOW + 10))
    assert line.is_bad
    engine.on_value(TOPOLOGY, A, details, NOW + 12)
    assert not list(log.lines(cluster_view(engine, NOW + 12)))
    made_up.beat(engine, A, NOW + 13, uptime_secs=713)
    (line,) = log.lines(cluster_view(engine, NOW + 13))
    assert line.text == f"over: words: worker {A} has sent no heartbeat for 12 s"
