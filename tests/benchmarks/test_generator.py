"""Tests of the load generator, on our daemon."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from benchmarks.load import (
    Group,
    Heartbeats,
    LoadError,
    command,
    fill,
    load,
    read_report,
)
from benchmarks.servers import Server, running
from pacemaker.client import PacemakerConnection, requests
from pacemaker.client.address import parse_server
from tests.real.jvm import missing

pytestmark = pytest.mark.real

BOUND_S = 30.0
STORED = Heartbeats(200, 50, topologies=10)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A daemon with 200 heartbeats in ten topologies."""
    if shutil.which("cc") is None:
        missing("cc is not installed")
    with running("ours") as running_server:
        fill(running_server, STORED, BOUND_S)
        yield running_server


def test_fill_writes_every_key_with_its_own_size(server: Server) -> None:
    """What it counts as stored is what is there, after several passes."""
    # More keys than requests under way: the passes stay in order.
    heartbeats = Heartbeats(600, 100, 3, first_topology=500, spread=0.3)
    seen = fill(server, heartbeats, BOUND_S, passes=4)
    assert seen.replies == 2400
    stored_bytes = 0
    with connected(server) as connection:
        for number in range(500, 503):
            path = f"/workerbeats/topology-{number}-{number + 1}-1700000000"
            names = connection.request(requests.list_nodes(path))
            assert len(names) == 200
            keys = [f"{path}/{name}" for name in names]
            values = [
                connection.request(requests.get_pulse(key)) or b"" for key in keys
            ]
            assert all(70 <= len(value) <= 130 for value in values)
            stored_bytes += sum(map(len, keys)) + sum(map(len, values))
    assert seen.content_bytes == stored_bytes


def connected(server: Server) -> PacemakerConnection:
    """Return our own client's connection to a server."""
    return PacemakerConnection(parse_server(f"127.0.0.1:{server.port}", 0))


@pytest.mark.parametrize("in_flight", [1, 50])
@pytest.mark.parametrize("work", ["pulse", "read", "list"])
def test_saturation_counts_what_was_answered(
    server: Server, work: str, in_flight: int
) -> None:
    """Each connection keeps its requests under way, and latencies are in order."""
    seen = load(server, STORED, [Group(work, 10, in_flight)], 0.2, warm_up_s=0.1)
    assert seen.replies > 0
    assert seen.lost == 0
    latencies = list(seen.latencies.percentiles_us.values())
    assert latencies == sorted(latencies)
    assert latencies[-1] <= seen.latencies.max_us


def test_rate_is_kept(server: Server) -> None:
    """All that was due in the time is answered, of each group."""
    groups = [Group("pulse", 10, rate_per_s=400), Group("read", 2, rate_per_s=100)]
    seen = load(server, STORED, groups, 0.5, warm_up_s=0.0)
    assert seen.lost == 0
    assert abs(seen.replies - 250) <= 2


def test_standstill_of_the_server_is_a_latency(server: Server) -> None:
    """A server that stands still for a second shows as a second."""
    os.kill(server.pid, signal.SIGSTOP)
    timer = threading.Timer(2.5, os.kill, (server.pid, signal.SIGCONT))
    timer.start()
    try:
        group = Group("pulse", 4, rate_per_s=200)
        seen = load(server, STORED, [group], 1.0, warm_up_s=0.0)
    finally:
        timer.join()
    # What came due first waited a second longer than what came due last.
    latencies = seen.latencies
    assert latencies.max_us > 1_000_000
    assert latencies.max_us - latencies.percentiles_us["1"] > 900_000
    assert seen.lost == 0


def test_standstill_of_the_generator_is_no_latency(server: Server) -> None:
    """What the generator came to late was sent late, and was answered at once."""
    argv = command(server, STORED, [Group("pulse", 4, rate_per_s=200)], 2.0, 0.0)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as generator:
        timers = [
            threading.Timer(0.3, generator.send_signal, (signal.SIGSTOP,)),
            threading.Timer(1.3, generator.send_signal, (signal.SIGCONT,)),
        ]
        for timer in timers:
            timer.start()
        output, _ = generator.communicate(timeout=BOUND_S)
    seen = read_report(json.loads(output))
    assert seen.generator_late_us > 500_000
    assert seen.latencies.max_us < 500_000
    assert seen.lost == 0
    assert abs(seen.replies - 400) <= 2


def test_delete_ends_when_all_are_gone(server: Server) -> None:
    """So many topologies are deleted, one after the other, and no other."""
    victims = Heartbeats(90, 50, 3, first_topology=700)
    fill(server, victims, BOUND_S)
    seen = load(server, victims, [Group("delete", 1, limit=3)], BOUND_S, warm_up_s=0.0)
    assert (seen.replies, seen.is_done) == (3, True)
    with connected(server) as connection:
        names = connection.request(requests.list_nodes("/workerbeats"))
    assert not [name for name in names if name.startswith("topology-70")]


def test_wrong_reply_ends_the_run(server: Server) -> None:
    """A value that is smaller than it should be is no measurement of a read."""
    larger = Heartbeats(STORED.keys, 5000, STORED.topologies)
    with pytest.raises(LoadError, match="wrong reply to read"):
        load(server, larger, [Group("read", 1)], 1.0)


def test_server_that_is_gone_ends_the_run() -> None:
    """Nobody waits for a port where nobody listens."""
    with pytest.raises(LoadError, match="refused"):
        load(
            Server("ours", "pacemaker", os.getpid(), 1, 0.0),
            STORED,
            [Group("list", 1)],
            1.0,
        )
