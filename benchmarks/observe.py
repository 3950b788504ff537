"""What `observe` costs: its rounds, its views, its pages, and the Pacemaker it reads.

    python -m benchmarks.observe [SUPERVISORS]

Each supervisor has 10 workers of 10 executors; 1,500 by default.  In each round every
worker stores a new heartbeat, then `observe` reads all of them as fast as it can, and
then a reader does what Nimbus does: the same reads over one connection, one after
another.  All times are of CPU, of both processes; a round may take 10 s in a cluster of
this size.  At the end the pages are timed by the clock, one after another.
"""

from __future__ import annotations

import random
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from benchmarks.servers import Server, running
from pacemaker.admin.exposition import metrics_page
from pacemaker.client import PacemakerConnection, PacemakerPool, ServerAddress, requests
from pacemaker.config import Settings
from pacemaker.observe.reader import HeartbeatReader
from pacemaker.observe.tracking.cluster import TrackedCluster
from pacemaker.observe.views.make_views import make_cluster_view
from pacemaker.observe.views.sparklines import Sparklines
from pacemaker.observe.web import pages
from pacemaker.observe.web.metrics import families
from pacemaker.simulate.run import SimulatedCluster, make_cluster
from pacemaker.simulate.shape import ClusterShape

ROUNDS: Final = 4
IN_FLIGHT: Final = 200
WORKERS_A_TOPOLOGY: Final = 300
TIMEOUT_S: Final = 60.0


def store(cluster: SimulatedCluster, port: int, number: int) -> None:
    """Store the next heartbeat of every worker."""
    pairs = list(zip(cluster.workers, cluster.beats, strict=True))
    address = ServerAddress("127.0.0.1", port)
    with PacemakerConnection(address, timeout_s=TIMEOUT_S) as connection:
        for at in range(0, len(pairs), IN_FLIGHT):
            calls = [
                connection.submit(
                    requests.send_pulse(worker.key, beats.at(number, time.monotonic()))
                )
                for worker, beats in pairs[at : at + IN_FLIGHT]
            ]
            for call in calls:
                call.result()


def read_as_nimbus(cluster: SimulatedCluster, port: int) -> None:
    """Read the heartbeat of every worker, each after the reply to the one before."""
    address = ServerAddress("127.0.0.1", port)
    with PacemakerConnection(address, timeout_s=TIMEOUT_S) as connection:
        for worker in cluster.workers:
            connection.submit(requests.get_pulse(worker.key)).result()


def main() -> int:
    """Print what each round costs, and what the pages take."""
    supervisors = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    topologies = max(1, supervisors * 10 // WORKERS_A_TOPOLOGY)
    shape = ClusterShape(supervisors, 10, 10, topologies, 3.0)
    cluster = make_cluster(shape, random.Random(1))  # noqa: S311  (no secret)
    tracked = TrackedCluster()
    with running("ours") as server:
        settings = Settings(servers=(f"127.0.0.1:{server.port}",))
        with PacemakerPool(settings, timeout_s=TIMEOUT_S) as pool:
            reader = HeartbeatReader(pool, tracked, threading.Lock())
            for number in range(ROUNDS):
                store(cluster, server.port, number)
                _measure(reader, tracked, server, number)
        server_s = server.cpu_s()
        read_as_nimbus(cluster, server.port)
        _say(f"a Nimbus: the Pacemaker {server.cpu_s() - server_s:.2f} s")
    _time_pages(tracked)
    return 0


def _time_pages(cluster: TrackedCluster) -> None:
    view, sparklines = make_cluster_view(cluster, time.time()), Sparklines()
    sparklines.on_view(view)
    largest = max(view.topologies, key=lambda each: len(each.workers))
    exposition = metrics_page(lambda: families(view))
    replies: dict[str, Callable[[], object]] = {
        "the page": lambda: str(pages.cluster_page(view, sparklines)),
        "a topology's page": lambda: str(
            pages.topology_page(view, largest, sparklines)
        ),
        "/metrics": lambda: list(exposition.show({}).slices),
    }
    for name, reply in replies.items():
        times_s = []
        for _ in range(5):
            begin_s = time.perf_counter()
            reply()
            times_s.append(time.perf_counter() - begin_s)
        _say(f"{name}: {1000 * max(times_s):.0f} ms at most, of five")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _measure(
    reader: HeartbeatReader, cluster: TrackedCluster, server: Server, number: int
) -> None:
    begin_s, server_s = time.process_time(), server.cpu_s()
    reader.read_all()
    read_s, server_s = time.process_time(), server.cpu_s() - server_s
    make_cluster_view(cluster, time.time())
    view_s = time.process_time() - read_s
    resident_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _say(
        f"round {number + 1}: observe {read_s - begin_s:.2f} s, the Pacemaker"
        f" {server_s:.2f} s; a view {view_s:.2f} s; at most {resident_mib:.0f} MiB,"
        " made-up cluster included"
    )


if __name__ == "__main__":
    sys.exit(main())
