"""A tracked cluster: restarts, moves, gaps, skew, and totals that never fall."""

from __future__ import annotations

import pytest

from pacemaker.observe.decoding import executor_figures
from pacemaker.observe.tracking.cluster import GONE_KEPT_S, MAX_WORKERS, TrackedCluster
from pacemaker.observe.tracking.worker import TrackedWorker
from tests.observe import made_up
from tests.observe.made_up import NOW, TOPOLOGY, A, B, beat, listed, running


def worker(cluster: TrackedCluster, name: str) -> TrackedWorker:
    """Return a worker."""
    return cluster.topologies[TOPOLOGY].workers[name]


def executed(cluster: TrackedCluster, name: str = "count") -> float:
    """Return what the executors of `count` have ever executed."""
    executors = cluster.topologies[TOPOLOGY].executors
    tasks = {"count": (made_up.COUNT_1, made_up.COUNT_2), "split": (made_up.SPLIT,)}
    return sum(
        executors[each].total()[executor_figures.EXECUTED] for each in tasks[name]
    )


def test_a_later_start_is_a_restart() -> None:
    """The key stays and the uptime falls: as after SIGKILL."""
    cluster = running()
    beat(cluster, A, NOW + 20, uptime_secs=1)
    assert [event.kind for event in cluster.events] == ["restart"]
    assert list(worker(cluster, A).restarts_s) == [NOW + 20]


def test_a_restart_between_two_readings_is_seen_without_a_lower_uptime() -> None:
    """A worker that lived 2 s, and its successor that is 4 s old when it is read."""
    cluster = TrackedCluster()
    listed(cluster, A)
    beat(cluster, A, NOW, uptime_secs=2)
    beat(cluster, A, NOW + 12, uptime_secs=4)
    assert [event.kind for event in cluster.events] == ["restart"]


@pytest.mark.parametrize("wobble_secs", [-1, 0, 1])
def test_whole_seconds_are_no_restart(wobble_secs: int) -> None:
    """Time and uptime are rounded apart, so the start wobbles by a second."""
    cluster = running()
    beat(cluster, A, NOW + 30, uptime_secs=730 + wobble_secs, factor=2)
    assert not cluster.events


def test_totals_do_not_fall_at_a_restart() -> None:
    """What the former process had counted is added to the new one's counts."""
    cluster = running()
    assert executed(cluster) == 4000
    beat(
        cluster,
        A,
        NOW + 20,
        uptime_secs=1,
        executors={made_up.COUNT_1: made_up.bolt(executed=20)},
    )
    assert executed(cluster) == 4020


def test_totals_do_not_fall_while_a_restarted_worker_loads() -> None:
    """A new process beats without executors first."""
    cluster = running()
    beat(cluster, A, NOW + 20, uptime_secs=1, executors={})
    assert executed(cluster) == 4000
    beat(cluster, A, NOW + 23, uptime_secs=4)
    assert executed(cluster) == 5000


def test_an_executor_that_another_worker_reports_has_moved() -> None:
    """The worker that started last has it; the former key's values count no more."""
    cluster = running()
    listed(cluster, A, B, "sup-c-6702")
    beat(
        cluster,
        "sup-c-6702",
        NOW + 40,
        5,
        executors={made_up.SPLIT: made_up.bolt(executed=20)},
    )
    assert [(e.kind, e.former, e.worker) for e in cluster.events] == [
        ("move", B, "sup-c-6702")
    ]
    assert executed(cluster, "split") == 420
    beat(cluster, B, NOW + 43, uptime_secs=743, factor=2)
    assert executed(cluster, "split") == 420
    assert len(cluster.events) == 1


@pytest.mark.parametrize("first", ["left", "living"])
def test_move_that_was_over_before_is_none(first: str) -> None:
    """The key of a former worker stays; its counts are not those of the executors."""
    cluster = TrackedCluster()
    listed(cluster, "left", "living")
    executors = {made_up.SPLIT: made_up.bolt(executed=5000)}
    left = made_up.value(executors, NOW - 864_000, 500_000)
    living = made_up.value({made_up.SPLIT: made_up.bolt(executed=20)}, NOW, 863_000)
    values = {"left": left, "living": living}
    for name in sorted(values, key=lambda name: name != first):
        cluster.on_value(TOPOLOGY, name, values[name], NOW)
    assert not cluster.events
    assert executed(cluster, "split") == 20


def test_a_key_that_went_and_came_back_is_the_same_worker() -> None:
    """A server that misses in one list makes no restart, and nothing counts twice."""
    cluster = running()
    listed(cluster, A, now_s=NOW + 5)
    assert worker(cluster, B).gone_s == NOW + 5
    listed(cluster, A, B, now_s=NOW + 10)
    beat(cluster, B, NOW + 10, uptime_secs=710, factor=2)
    assert not cluster.events
    assert executed(cluster) == 1000 + 6000


def test_a_worker_that_left_is_forgotten_at_last_but_its_counts_are_not() -> None:
    """After ten minutes the worker goes; totals of its executors stay."""
    cluster = running()
    listed(cluster, A, now_s=NOW + 5)
    listed(cluster, A, now_s=NOW + 6 + GONE_KEPT_S)
    assert B not in cluster.topologies[TOPOLOGY].workers
    assert executed(cluster) == 4000


def test_a_topology_without_keys_goes_unless_zookeeper_has_it() -> None:
    """A topology that was just submitted, or lost all workers, is still shown."""
    cluster = running()
    cluster.on_nodes(made_up.NODES)
    cluster.on_listed({}, NOW + 5)
    assert TOPOLOGY in cluster.topologies
    cluster.nodes = None
    cluster.on_listed({}, NOW + 10)
    assert not cluster.topologies


def test_an_unchanged_value_is_not_decoded_again() -> None:
    """A worker that has died leaves its last value, whose age grows."""
    cluster = running()
    details = made_up.value(made_up.executors_of(A))
    before = cluster.decoder.fast + cluster.decoder.slow
    cluster.on_value(TOPOLOGY, A, details, NOW + 12)
    assert cluster.decoder.fast + cluster.decoder.slow == before
    assert worker(cluster, A).age_s == 12


def test_an_unreadable_value_is_noted() -> None:
    """The problem names what is wrong, and goes with the next heartbeat."""
    cluster = running()
    cluster.on_value(TOPOLOGY, A, b"nonsense", NOW + 3)
    assert worker(cluster, A).problem is not None
    beat(cluster, A, NOW + 6, uptime_secs=706)
    assert worker(cluster, A).problem is None


def test_a_pause_between_heartbeats_is_a_gap() -> None:
    """The longest pause of one process is kept."""
    cluster = running()
    beat(cluster, A, NOW + 40, uptime_secs=740)
    beat(cluster, A, NOW + 43, uptime_secs=743)
    assert worker(cluster, A).longest_gap_secs == 40


def test_worker_that_writes_once_a_minute_is_not_late() -> None:
    """Its interval is known after three heartbeats, and unknown after a restart."""
    cluster = running()
    intervals = []
    for number in range(1, 5):
        at_s = 60 * number
        beat(cluster, A, NOW + at_s, 700 + at_s)
        intervals.append(worker(cluster, A).interval_secs)
    assert intervals == [3, 60, 60, 60]
    gap_secs = worker(cluster, A).longest_gap_secs
    beat(cluster, A, NOW + 500, 940 + 260)
    assert worker(cluster, A).longest_gap_secs == gap_secs
    beat(cluster, A, NOW + 503, 1)
    assert worker(cluster, A).interval_secs == 3


def test_round_that_misses_heartbeats_makes_no_interval_longer() -> None:
    """A worker that writes every 3 s is read every 5 s, or later."""
    cluster = running()
    for at_s in (9, 18, 21, 30):
        beat(cluster, A, NOW + at_s, 700 + at_s)
        assert worker(cluster, A).interval_secs == 3


def test_the_smallest_lag_is_the_skew() -> None:
    """A clock 100 s ahead is known after two heartbeats; the age allows for it."""
    cluster = TrackedCluster()
    listed(cluster, A)
    for now_s, lag_s in ((NOW, 4), (NOW + 5, 1)):
        details = made_up.value(
            made_up.executors_of(A), now_s - lag_s + 100, now_s - NOW + 200
        )
        cluster.on_value(TOPOLOGY, A, details, now_s)
    assert worker(cluster, A).skew_s == -99
    assert worker(cluster, A).age_s == 0


def test_rates_cover_thirty_seconds() -> None:
    """Below that there is none: counts move in steps of the sampling factor."""
    cluster = running()
    beat(cluster, A, NOW + 20, uptime_secs=720, factor=2)
    assert worker(cluster, A).rates() is None
    beat(cluster, A, NOW + 32, uptime_secs=732, factor=3)
    rates = worker(cluster, A).rates()
    assert rates is not None
    assert (
        rates[executor_figures.FIGURES_PER_WINDOW + executor_figures.EXECUTED]
        == 2000 / 32
    )
    beat(cluster, A, NOW + 52, uptime_secs=752, factor=4)
    rates = worker(cluster, A).rates()
    assert rates is not None
    assert (
        rates[executor_figures.FIGURES_PER_WINDOW + executor_figures.EXECUTED]
        == 2000 / 32
    )  # from 20 to 52


def test_no_rate_spans_a_restart() -> None:
    """The samples of the former process are dropped."""
    cluster = running()
    beat(cluster, A, NOW + 32, uptime_secs=732, factor=3)
    beat(cluster, A, NOW + 50, uptime_secs=2)
    assert worker(cluster, A).rates() is None


def test_forged_keys_are_limited() -> None:
    """Keys above the limit are counted, and not read."""
    cluster = TrackedCluster()
    names = {f"t{number}": map(str, range(1000)) for number in range(101)}
    cluster.on_listed(names, NOW)
    assert len(cluster.keys()) == MAX_WORKERS
    assert cluster.dropped == 1000


def test_falling_times_are_no_new_process() -> None:
    """An average times a count falls while late tuples are acked, or by rounding."""
    cluster = running()
    for late_s, executed_now, process_ms in ((3, 1200, 40.0), (6, 1400, 10.0)):
        bolts = made_up.executors_of(B)
        streams = {"default": 500, "__ack_ack": 10}
        bolts[made_up.SPLIT] = made_up.bolt(
            "words", executed_now, process_ms=process_ms, streams=streams
        )
        beat(cluster, B, NOW + late_s, 700 + late_s, executors=bolts)
    samples = worker(cluster, B).samples
    at = worker(cluster, B).infos.index(made_up.SPLIT)
    at = executor_figures.FIGURES_PER_WINDOW * at + executor_figures.PROCESS_MS
    assert [sample.totals[at] for sample in samples] == [1200.0, 48_000.0, 48_000.0]
    assert executed(cluster) == 1000 + 3000


def test_totals_that_fall_without_a_restart_count_on() -> None:
    """A forged heartbeat, or one of a simulation that starts over, loses nothing."""
    cluster = running()
    beat(cluster, B, NOW + 3, uptime_secs=703, factor=2)
    beat(cluster, B, NOW + 6, uptime_secs=706, factor=1)
    assert executed(cluster) == 1000 + 6000 + 3000
    assert not cluster.events
