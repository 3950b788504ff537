"""The lines that `observe` logs."""

from __future__ import annotations

from pacemaker.observe.views.make_views import make_cluster_view
from pacemaker.observe.views.trouble_log import TroubleLog
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY, A


def test_a_trouble_is_logged_when_it_begins_and_when_it_is_over() -> None:
    """Between these, its changing text makes no line."""
    cluster = made_up.running()
    log = TroubleLog()
    assert not list(log.lines(make_cluster_view(cluster, NOW)))
    details = made_up.value(made_up.executors_of(A))
    cluster.on_value(TOPOLOGY, A, details, NOW + 10)
    (line,) = log.lines(make_cluster_view(cluster, NOW + 10))
    assert line.is_bad
    cluster.on_value(TOPOLOGY, A, details, NOW + 12)
    assert not list(log.lines(make_cluster_view(cluster, NOW + 12)))
    made_up.beat(cluster, A, NOW + 13, uptime_secs=713)
    (line,) = log.lines(make_cluster_view(cluster, NOW + 13))
    assert line.text == f"over: words: worker {A} has sent no heartbeat for 12 s"
