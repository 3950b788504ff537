"""The daemon's figures as Prometheus's metric families.

Import this module only if there is an admin endpoint: it needs the extra `metrics`.

No label holds a topology, a key or an address.  Peers choose these, so they could make
as many series as they like, and `/metrics` is open to whoever reaches the endpoint.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from pacemaker._version import __version__
from pacemaker.server.reading import Reading

_PREFIX: Final = "storm_pacemaker_"


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value=value)


def families(reading: Reading) -> Iterator[Metric]:
    """Yield every family, with the values of a reading."""
    yield InfoMetricFamily(
        f"{_PREFIX}build",
        "The version of the daemon and of its interpreter.",
        {"version": __version__, "python": platform.python_version()},
    )
    yield from _requests(reading)
    yield from _store(reading)
    yield from _connections(reading)
    yield from _life(reading)
    yield from _process(reading)


def _requests(reading: Reading) -> Iterator[Metric]:
    figures = reading.figures
    requests = CounterMetricFamily(
        f"{_PREFIX}requests",
        "Requests by type and outcome.",
        labels=("type", "outcome"),
    )
    requests.add_metric(("send_pulse", "ok"), figures.pulses)
    requests.add_metric(("send_pulse", "refused"), figures.refused_heartbeats)
    requests.add_metric(("get_pulse", "ok"), figures.reads)
    yield requests
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
        "unauthorized_reads",
        "Reads by peers that have not authenticated.",
        figures.refused_reads,
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


def _store(reading: Reading) -> Iterator[Metric]:
    yield _gauge("keys", "Heartbeats that are stored.", reading.keys)
    yield _gauge(
        "store_bytes",
        "Memory of the stored heartbeats, Python's overhead included.",
        reading.store_bytes,
    )
    yield _gauge(
        "store_budget_bytes",
        "Memory that the stored heartbeats may take.",
        reading.store_budget_bytes,
    )
    yield _gauge(
        "buffer_bytes",
        "Unread and unsent bytes of all connections.",
        reading.buffer_bytes,
    )
    yield _gauge(
        "buffer_budget_bytes",
        "What the unread and unsent bytes may take.",
        reading.buffer_budget_bytes,
    )
    yield _gauge(
        "held_read_bytes",
        "Memory of the reads that wait for a heartbeat after a start.",
        reading.held_read_bytes,
    )


def _connections(reading: Reading) -> Iterator[Metric]:
    figures = reading.figures
    yield _gauge("connections", "Open connections.", figures.connections)
    yield _gauge(
        "peer_addresses", "Peer addresses with a connection.", figures.addresses
    )
    yield _counter(
        "connections_refused",
        "Connections that were refused for lack of room.",
        figures.refused_connections,
    )
    yield _counter(
        "evictions",
        "Connections that were ended because all buffers were full.",
        figures.evictions,
    )
    yield _counter(
        "authentications_failed",
        "Attempts to authenticate that failed.",
        figures.failed_logins,
    )
    yield _counter(
        "authentications_delayed",
        "Attempts to authenticate whose outcome was withheld for a while.",
        figures.delayed_logins,
    )


def _life(reading: Reading) -> Iterator[Metric]:
    yield _gauge(
        "last_pulse_timestamp_seconds",
        "When the last heartbeat was stored, to the second; 0 for never.",
        reading.last_pulse_s,
    )
    yield _gauge(
        "last_read_timestamp_seconds",
        "When a heartbeat was last read, which Nimbus does every 10 seconds; 0 for"
        " never.",
        reading.last_read_s,
    )
    upgrades = CounterMetricFamily(
        f"{_PREFIX}upgrades",
        "Upgrades in place; refused ones since the last that was done.",
        labels=("outcome",),
    )
    upgrades.add_metric(("done",), reading.upgrades)
    upgrades.add_metric(("refused",), reading.refused_upgrades)
    yield upgrades
    yield _gauge("io_threads", "I/O threads.", reading.io_threads)


def _process(reading: Reading) -> Iterator[Metric]:
    """Yield what Prometheus's own libraries call these figures.

    Its collector for processes would open files in /proc and count the descriptors
    with one call of the system for each: with 20,000 connections that takes long.
    """
    yield CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the process.", value=reading.cpu_s
    )
    yield GaugeMetricFamily(
        "process_resident_memory_bytes",
        "Resident memory of the process.",
        value=reading.resident_bytes,
    )
    yield GaugeMetricFamily(
        "process_max_fds",
        "Descriptors that the process may have open.",
        value=reading.most_descriptors,
    )
