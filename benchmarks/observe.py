"""What `observe` costs: its rounds, its views, and the Pacemaker that it reads.

    python -m benchmarks.observe [SUPERVISORS]

Each supervisor has 10 workers of 10 executors; 1,500 by default.  In each round every
worker stores a new heartbeat, then `observe` reads all of them as fast as it can.  All
times are of CPU, of both processes; a round may take 10 s in a cluster of this size.
"""

from __future__ import annotations

import random
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Final

from benchmarks.servers import Server, running
from pacemaker.client import PacemakerConnection, PacemakerPool, ServerAddress, requests
from pacemaker.config import Settings
from pacemaker.observe.engine import Engine
from pacemaker.observe.picture import cluster_view
from pacemaker.observe.reader import Reader
from pacemaker.simulate.run import Cluster, make_cluster
from pacemaker.simulate.shape import ClusterShape

ROUNDS: Final = 4
IN_FLIGHT: Final = 200
WORKERS_A_TOPOLOGY: Final = 300
TIMEOUT_S: Final = 60.0


def cpu_s_of(server: Server) -> float:
    """Return the CPU time that a server has used, user and system."""
    stat = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / 100


def store(cluster: Cluster, port: int, number: int) -> None:
    """Store the next heartbeat of every worker."""
    pairs = list(zip(cluster.places, cluster.beats, strict=True))
    address = ServerAddress("127.0.0.1", port)
    with PacemakerConnection(address, timeout_s=TIMEOUT_S) as connection:
        for at in range(0, len(pairs), IN_FLIGHT):
            calls = [
                connection.submit(
                    requests.send_pulse(place.key, beats.at(number, time.monotonic()))
                )
                for place, beats in pairs[at : at + IN_FLIGHT]
            ]
            for call in calls:
                call.result()


def main() -> int:
    """Print what each round costs."""
    supervisors = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    topologies = max(1, supervisors * 10 // WORKERS_A_TOPOLOGY)
    shape = ClusterShape(supervisors, 10, 10, topologies, 3.0)
    cluster = make_cluster(shape, random.Random(1))  # noqa: S311  (no secret)
    engine = Engine()
    with running("ours") as server:
        settings = Settings(servers=(f"127.0.0.1:{server.port}",))
        with PacemakerPool(settings, timeout_s=TIMEOUT_S) as pool:
            reader = Reader(pool, engine, threading.Lock())
            for number in range(ROUNDS):
                store(cluster, server.port, number)
                _measure(reader, engine, server, number)
    return 0


def _measure(reader: Reader, engine: Engine, server: Server, number: int) -> None:
    begin_s, server_s = time.process_time(), cpu_s_of(server)
    reader.read_all()
    read_s, server_s = time.process_time(), cpu_s_of(server) - server_s
    cluster_view(engine, time.time())
    view_s = time.process_time() - read_s
    resident_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"round {number + 1}: observe {read_s - begin_s:.2f} s, the Pacemaker"
        f" {server_s:.2f} s; a view {view_s:.2f} s; at most {resident_mib:.0f} MiB,"
        " made-up cluster included\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
