"""The daemon's figures as Prometheus's metric families.

Import this module only if there is an admin endpoint: it needs the extra `metrics`.

No label contains a topology, a key or the address of a peer.  Peers choose these, so
they could create any number of series, and everybody who reaches the endpoint may read
`/metrics`.  A relay's label `pacemaker` is HOST:PORT from its configuration.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from pacemaker._version import __version__
from pacemaker.core.figures import Figures
from pacemaker.server.measurements import Measurements, PacemakerMeasurements
from pacemaker.wire import messages

_PREFIX: Final = "storm_pacemaker_"
# From 63 bytes, the size of a heartbeat while its worker loads, to 16 MiB.
_SIZE_BITS: Final = range(6, 25)
# From 16 microseconds, the duration of a pulse, to 8 seconds.
_DURATION_BITS: Final = range(4, 24)
_READS: Final = (
    messages.EXISTS,
    messages.GET_PULSE,
    messages.GET_ALL_NODES_FOR_PATH,
    messages.GET_ALL_PULSE_FOR_PATH,
)
_Columns: TypeAlias = tuple[
    tuple[str, str, Callable[[PacemakerMeasurements], float]], ...
]
# SEND_PULSE is counted by its sizes.
_REQUESTS: Final = (
    *_READS,
    messages.CREATE_PATH,
    messages.DELETE_PATH,
    messages.DELETE_PULSE_ID,
)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value=value)


def families(measured: Measurements) -> Iterator[Metric]:
    """Yield every family, with the measured values."""
    yield InfoMetricFamily(
        f"{_PREFIX}build",
        "The version of the daemon and of its interpreter.",
        {"version": __version__, "python": platform.python_version()},
    )
    yield from _requests(measured)
    yield from _store(measured)
    yield from _connections(measured)
    yield from _life(measured)
    yield from _process(measured)
    if measured.pacemakers:
        yield from _pacemakers(measured.pacemakers)


def _requests(measured: Measurements) -> Iterator[Metric]:
    yield _requests_by_type(measured.figures)
    yield _pulse_size_histogram(measured.figures)
    yield _durations(measured.figures)
    figures = measured.figures
    yield _counter(
        "pulse_received_bytes",
        "Bytes of the heartbeats that were stored, without keys and frames.",
        figures.pulse_bytes,
    )
    yield _counter(
        "pulse_sent_bytes",
        "Bytes of the heartbeats that were read, without keys and frames.",
        figures.read_bytes,
    )
    yield _counter(
        "anonymous_deletes",
        "Deletes by peers that could have authenticated but have not.",
        figures.anonymous_deletes,
    )
    yield _counter(
        "request_delays",
        "How often a connection had to wait, because its address creates keys or asks"
        " for lists too fast.",
        figures.delays,
    )
    yield _counter(
        "held_reads_refused",
        "Reads of absent heartbeats that were answered at once for lack of room.",
        figures.refused_holds,
    )


def _requests_by_type(figures: Figures) -> Metric:
    requests = CounterMetricFamily(
        f"{_PREFIX}requests",
        "Requests by type and outcome.",
        labels=("type", "outcome"),
    )
    requests.add_metric(("send_pulse", "ok"), figures.pulses)
    requests.add_metric(("send_pulse", "refused"), figures.refused_heartbeats)
    for kind in _REQUESTS:
        count = figures.requests[kind]
        if kind == messages.GET_PULSE:
            # Two threads may count and read at once, and a counter must not go back.
            count = max(0, count - figures.misses)
            requests.add_metric(("get_pulse", "miss"), figures.misses)
        name = messages.name_of(kind).lower()
        requests.add_metric((name, "ok"), count)
        if kind in _READS:
            requests.add_metric((name, "unauthorized"), figures.unauthorized[kind])
    return requests


def _pulse_size_histogram(figures: Figures) -> Metric:
    """Return the histogram of sizes: those of at most k bits are below 2**k."""
    cumulative = list(accumulate(figures.pulse_size_histogram))
    buckets = [(str(2**bits - 1), cumulative[bits]) for bits in _SIZE_BITS]
    return HistogramMetricFamily(
        f"{_PREFIX}pulse_size_bytes",
        "Sizes of the heartbeats that were stored, without keys and frames.",
        buckets=[*buckets, ("+Inf", cumulative[-1])],
        sum_value=figures.pulse_bytes,
    )


def _durations(figures: Figures) -> Metric:
    """Return the histogram of durations: below 2**k microseconds, in seconds."""
    cumulative = list(accumulate(figures.turn_time_histogram))
    buckets = [(str(2**bits / 1e6), cumulative[bits]) for bits in _DURATION_BITS]
    return HistogramMetricFamily(
        f"{_PREFIX}request_duration_seconds",
        "How long the turn of the loop took in which a request was served.",
        buckets=[*buckets, ("+Inf", cumulative[-1])],
        sum_value=figures.turn_time_sum_s,
    )


def _store(measured: Measurements) -> Iterator[Metric]:
    yield _gauge("keys", "Heartbeats that are stored.", measured.keys)
    yield _gauge(
        "store_bytes",
        "Memory of the stored heartbeats, Python's overhead included.",
        measured.store_bytes,
    )
    yield _gauge(
        "store_budget_bytes",
        "Memory that the stored heartbeats may take.",
        measured.store_budget_bytes,
    )
    yield _gauge(
        "buffer_bytes",
        "Unread and unsent bytes of all connections.",
        measured.buffer_bytes,
    )
    yield _gauge(
        "buffer_budget_bytes",
        "What the unread and unsent bytes may take.",
        measured.buffer_budget_bytes,
    )
    yield _gauge(
        "held_read_bytes",
        "Memory of the reads that wait for a heartbeat after a start.",
        measured.held_read_bytes,
    )


def _connections(measured: Measurements) -> Iterator[Metric]:
    figures = measured.figures
    yield _gauge("connections", "Open connections.", figures.connections)
    yield _gauge(
        "peer_addresses", "Peer addresses with a connection.", figures.addresses
    )
    yield _counter(
        "connections_accepted", "Connections that were accepted.", figures.accepted
    )
    yield _closed(figures)
    yield _counter(
        "connections_refused",
        "Connections that were refused for lack of room, or past --address-limit.",
        figures.refused_connections,
    )
    yield _counter(
        "connections_closed_for_room",
        "Connections that were closed because others needed their descriptors.",
        figures.closed_for_room,
    )
    yield _counter(
        "sasl_steps_refused",
        "SASL steps that found no thread, or no room to wait for one.",
        figures.refused_steps,
    )
    yield _counter(
        "evictions",
        "Connections that were ended because all buffers were full.",
        figures.evictions,
    )
    yield _authentications(measured)
    yield _counter(
        "authentications_delayed",
        "Attempts to authenticate whose outcome was withheld for a while.",
        figures.delayed_logins,
    )


def _closed(figures: Figures) -> Metric:
    by_reason = {
        "refused": figures.ended_refused,
        "stop": figures.ended_by_stop,
        "fault": figures.ended_by_fault,
    }
    by_reason["peer"] = max(0, figures.ended - sum(by_reason.values()))
    closed = CounterMetricFamily(
        f"{_PREFIX}connections_closed", "Connections that ended.", labels=("reason",)
    )
    for reason, count in by_reason.items():
        closed.add_metric((reason,), count)
    return closed


def _authentications(measured: Measurements) -> Metric:
    authentications = CounterMetricFamily(
        f"{_PREFIX}authentications",
        "SASL exchanges by method and outcome.",
        labels=("method", "outcome"),
    )
    method = measured.auth_method
    authentications.add_metric((method, "ok"), measured.figures.logins)
    authentications.add_metric((method, "failed"), measured.figures.failed_logins)
    return authentications


def _life(measured: Measurements) -> Iterator[Metric]:
    yield _gauge(
        "last_pulse_timestamp_seconds",
        "When the last heartbeat was stored, to the second; 0 for never.",
        measured.last_pulse_s,
    )
    yield _gauge(
        "last_read_timestamp_seconds",
        "When a heartbeat was last read, which Nimbus does every 10 seconds; 0 for"
        " never.",
        measured.last_read_s,
    )
    upgrades = CounterMetricFamily(
        f"{_PREFIX}upgrades",
        "Upgrades in place; refused ones since the last that was done.",
        labels=("outcome",),
    )
    upgrades.add_metric(("done",), measured.upgrades)
    upgrades.add_metric(("refused",), measured.refused_upgrades)
    yield upgrades
    yield _gauge("io_threads", "I/O threads.", measured.io_threads)


def _process(measured: Measurements) -> Iterator[Metric]:
    """Yield the figures of the process, under the names of Prometheus's own libraries.

    Their collector would open files in /proc and make a system call for each
    descriptor, which takes long with 20,000 connections.
    """
    yield CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the process.", value=measured.cpu_s
    )
    yield GaugeMetricFamily(
        "process_resident_memory_bytes",
        "Resident memory of the process.",
        value=measured.resident_bytes,
    )
    yield GaugeMetricFamily(
        "process_start_time_seconds",
        "When the process started; an upgrade in place does not change it.",
        value=measured.started_s,
    )
    yield GaugeMetricFamily(
        "process_max_fds",
        "Descriptors that the process may have open.",
        value=measured.most_descriptors,
    )


# What a relay shows of each Pacemaker: the name, the text, and the value.
_RELAY_GAUGES: Final[_Columns] = (
    ("up", "Whether the Pacemaker is connected and answers.", lambda each: each.is_up),
    (
        "up_timestamp_seconds",
        "Since when the Pacemaker is connected; 0 while it is away.",
        lambda each: each.up_since_s,
    ),
    (
        "complete",
        "Whether the Pacemaker has been connected for long enough to say that a"
        " heartbeat is missing.",
        lambda each: each.is_complete,
    ),
    (
        "waiting_pulses",
        "Heartbeats that wait to be sent to the Pacemaker.",
        lambda each: each.waiting_pulses,
    ),
    (
        "waiting_deletes",
        "Deletes that the Pacemaker has not acknowledged yet.",
        lambda each: each.waiting_deletes,
    ),
)
_RELAY_COUNTERS: Final[_Columns] = (
    (
        "dropped_pulses",
        "Heartbeats that the Pacemaker never received, because their workers had gone.",
        lambda each: each.dropped_pulses,
    ),
    (
        "dropped_deletes",
        "Deletes that the Pacemaker never received, because it was away for too long.",
        lambda each: each.dropped_deletes,
    ),
    (
        "losses",
        "How often a connection to the Pacemaker was lost.",
        lambda each: each.losses,
    ),
)


def _pacemakers(measurements: Sequence[PacemakerMeasurements]) -> Iterator[Metric]:
    for kind, columns in (
        (GaugeMetricFamily, _RELAY_GAUGES),
        (CounterMetricFamily, _RELAY_COUNTERS),
    ):
        for name, text, value_of in columns:
            family = kind(f"{_PREFIX}relay_{name}", text, labels=("pacemaker",))
            for each in measurements:
                family.add_metric((each.name,), value_of(each))
            yield family
    yield _latencies(measurements)


def _latencies(measurements: Sequence[PacemakerMeasurements]) -> Metric:
    latencies = HistogramMetricFamily(
        f"{_PREFIX}relay_latency_seconds",
        "How long the Pacemaker took to acknowledge heartbeats and deletes.",
        labels=("pacemaker",),
    )
    for each in measurements:
        cumulative = list(accumulate(each.latencies))
        buckets = [(str(2**bits / 1e6), cumulative[bits]) for bits in _DURATION_BITS]
        latencies.add_metric(
            (each.name,), [*buckets, ("+Inf", cumulative[-1])], each.latencies_s
        )
    return latencies
