"""Storm's own workers' clients, while the daemon restarts under its socket.

The listening socket outlives the daemon, as with a systemd socket unit, and connections
end with a reset.  So a restart costs a cluster only the time that it takes.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.real.clients import StormClient
from tests.real.daemons import HandedOver, Served
from tests.real.jvm import NEWEST_RELEASE
from tests.wire.by_hand import Type, Wire, exists_reply, path_request

pytestmark = pytest.mark.real

WORKERS = tuple(f"/workerbeats/words-1-1700000000/7a4e-670{n}" for n in range(4))
PERIOD_MS = 500
STORED_WITHIN_S = 5.0
"""After the daemon serves.  A client that was sent a FIN needs 13 s and more; one that
was reset writes at once, and the rest is for a machine that is busy."""
DOWN_S = (0.0, 6.0)
"""How long the daemon is away; while it is, the clients stand in the backlog, and they
give up after 11 s, its start included."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Open the listening socket that is handed to each daemon."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server


@pytest.fixture
def workers(listener: socket.socket) -> Iterator[StormClient]:
    """Start Storm's clients, each with its own connection; none writes yet."""
    host, port = listener.getsockname()
    with StormClient(NEWEST_RELEASE, port, host) as client:
        yield client


def start_writing(client: StormClient) -> None:
    """Let all workers write, wait until each has done so, and have them pause.

    No request is then under way.  One that meets the reset on its way costs a
    client of 2.8.3 11 s, whatever the server does: it forgets what it waits for
    when it connects again, and no answer reaches it until it starts anew.
    """
    client.tell(f"repeat {PERIOD_MS} {' '.join(WORKERS)}")
    next_pulses(client, 0.0)
    client.tell("pause")
    assert client.stdout.find("^paused$", 60)


def next_pulses(client: StormClient, after_s: float) -> dict[str, float]:
    """Wait for each worker's first pulse that is acknowledged after a time.

    Returns:
        How many seconds after that time it was.

    """
    waited_s: dict[str, float] = {}
    while len(waited_s) < len(WORKERS):
        line = client.stdout.find(r"^ack (\S+) (\d+)$", 60)
        if line is None:
            raise client.error(f"only {sorted(waited_s)} are written")
        if (later_s := int(line[2]) / 1000 - after_s) > 0:
            waited_s.setdefault(line[1], later_s)
    return waited_s


def stored(daemon: Served, path: str) -> bool:
    """Tell whether the daemon has a pulse of this path."""
    with Wire(daemon.address) as connection:
        reply = connection.ask(path_request(Type.EXISTS, path, 1))
    return reply == exists_reply(True, 1)


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_workers_write_at_once_to_the_daemon_that_comes_back(
    how: signal.Signals,
    down_s: float,
    listener: socket.socket,
    workers: StormClient,
) -> None:
    """After a restart each worker's next pulse is stored as soon as it serves."""
    with HandedOver(listener) as first:
        start_writing(workers)
        first.signal(how)
        code = first.wait()
        workers.tell("resume")
    assert code == (0 if how is signal.SIGTERM else -how)
    time.sleep(down_s)  # Nothing is waited for: this is the outage under test.
    started_s = time.time()
    with HandedOver(listener) as second:
        within_s = time.time() - started_s + STORED_WITHIN_S
        waited_s = next_pulses(workers, started_s)
        assert all(stored(second, path) for path in WORKERS)
    assert max(waited_s.values()) <= within_s, waited_s


def test_handed_over_socket_wins_over_the_options(listener: socket.socket) -> None:
    """The daemon listens on the socket it was given, and says so."""
    with HandedOver(listener, "--bind", "127.0.0.1", "-c", "pacemaker.port=1") as given:
        assert given.address == listener.getsockname()
        assert not stored(given, "/a")
