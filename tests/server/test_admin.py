"""The daemon's admin endpoint: what it says, and when."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.admin.address import AdminAddress, parse_admin_address
from pacemaker.admin.client import FetchedPage, fetch_page
from pacemaker.admin.listener import address_of
from pacemaker.admin.progress import STUCK_S
from pacemaker.config import Settings
from pacemaker.errors import StartError
from pacemaker.server import AdminOptions, Daemon, ServerOptions, status_client
from pacemaker.server import admin as module
from pacemaker.server.admin import AdminEndpoint
from pacemaker.why.facts import DaemonFacts, parse_history
from tests.prometheus import complaints
from tests.real import daemons
from tests.real.child import Child
from tests.test_upgrade import NO_SLACK, must_reload, put
from tests.wire.by_hand import Wire

pytestmark = pytest.mark.io

GIVE_UP_S = 60.0
ANY_PORT = AdminOptions(AdminAddress("127.0.0.1", 0))


class Clock:
    """A clock that the test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


class Case:
    """A daemon in this process with an endpoint; the test is its main thread."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.admin = AdminEndpoint(ANY_PORT, clock=self.clock)
        options = ServerOptions(bind="127.0.0.1", io_threads=2, admin=ANY_PORT)
        self.daemon = Daemon(Settings(port=0), options)
        self.daemon.start()

    def serve(self) -> None:
        """Tell the endpoint that the daemon serves."""
        self.admin.announce_serving(self.daemon)

    def ask(self, target: str) -> FetchedPage:
        """Ask the endpoint."""
        with socket.socket(fileno=self.admin.listener_fd) as listener:
            address = address_of(listener)
            listener.detach()
        return fetch_page(address, target, GIVE_UP_S)

    def turn(self) -> None:
        """Make a turn of the main thread; wait until healthy threads have answered."""
        self.admin.check_threads()
        for call in self.daemon.thread_calls().values():
            passed = threading.Event()
            call(passed.set)
            assert passed.wait(GIVE_UP_S)

    def put(self, key: str) -> None:
        """Store a heartbeat."""
        host, _, port = self.daemon.address.rpartition(":")
        with Wire((host, int(port))) as peer:
            put(peer, key)

    def close(self) -> None:
        """Stop the daemon and the endpoint."""
        self.daemon.begin_stop()
        self.daemon.close()
        self.admin.close()


@pytest.fixture
def case() -> Iterator[Case]:
    """Yield a daemon whose endpoint does not know yet that it serves."""
    with contextlib.closing(Case()) as case:
        yield case


def test_daemon_that_starts_is_live_but_not_ready(case: Case) -> None:
    """A starting daemon is live and not ready, and has no figures yet."""
    assert case.ask("/livez").status == 200
    ready = case.ask("/readyz")
    assert ready.status == 503
    assert "[-]serving failed: starting" in ready.text
    assert case.ask("/metrics").status == 503


def test_daemon_that_serves_is_ready(case: Case) -> None:
    """A serving daemon is ready, and has one check per thread."""
    case.serve()
    case.turn()
    assert case.ask("/livez").text == "ok\n"
    checks = json.loads(case.ask("/readyz?format=json").text)["checks"]
    assert [check["name"] for check in checks] == ["serving", "io-0", "io-1"]
    assert checks[0]["detail"] == f"on {case.daemon.address}"


def test_daemon_that_stops_is_live_but_not_ready(case: Case) -> None:
    """A load balancer sends it nothing more, and no supervisor kills it."""
    case.serve()
    case.turn()
    case.admin.announce_stopping()
    assert case.ask("/livez").status == 200
    assert "[-]serving failed: stopping" in case.ask("/readyz").text


def test_stuck_io_thread_is_seen_within_15_s(case: Case) -> None:
    """The check names the stuck thread, and the other threads are fine."""
    case.serve()
    case.turn()
    go_on = threading.Event()

    def stand() -> None:
        assert go_on.wait(GIVE_UP_S)

    case.daemon.thread_calls()["io-1"](stand)
    for _ in range(14):
        case.admin.check_threads()
        passed = threading.Event()
        case.daemon.thread_calls()["io-0"](passed.set)
        assert passed.wait(GIVE_UP_S)
        case.clock.now_s += 1.0
    live = case.ask("/livez")
    assert live.status == 503
    assert "[-]io-1 failed: last turn 14.0 s ago" in live.text
    assert "[+]io-0 ok" in live.text
    assert STUCK_S < 14
    go_on.set()
    case.turn()
    assert case.ask("/livez").status == 200


def test_traffic_is_seen_once_a_turn(case: Case) -> None:
    """The time of the last traffic is that of the turn: no clock is read for it."""
    case.serve()
    case.turn()
    assert "last_pulse_timestamp_seconds 0.0" in case.ask("/metrics").text
    case.put("/w/1")
    case.turn()
    text = case.ask("/metrics").text
    assert "last_pulse_timestamp_seconds 0.0" not in text
    assert "last_read_timestamp_seconds 0.0" in text
    assert 'requests_total{outcome="ok",type="send_pulse"} 1.0' in text


def test_no_endpoint_costs_nothing() -> None:
    """Without --admin there is no thread, no descriptor and no question to threads."""
    before = threading.active_count()
    admin = AdminEndpoint(None)
    assert (admin.listener_fd, threading.active_count()) == (-1, before)
    admin.check_threads()
    admin.announce_stopping()
    admin.close()


def test_metrics_need_the_library_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the library only /metrics is missing, and the log says so."""
    monkeypatch.setitem(sys.modules, "pacemaker.server.metrics", None)
    with contextlib.closing(Case()) as case:
        assert "/metrics of the admin endpoint needs prometheus-client" in caplog.text
        case.serve()
        case.turn()
        assert case.ask("/metrics").status == 501
        assert case.ask("/readyz").status == 200


class Served(daemons.Daemon):
    """The daemon's process, with an endpoint."""

    def __init__(self, *options: str) -> None:
        super().__init__(*NO_SLACK, *options)
        (place,) = re.findall(r"admin endpoint on (\S+)", "\n".join(self.stderr.all()))
        self.admin = parse_admin_address(place)

    def page(self, target: str) -> FetchedPage:
        """Ask the endpoint."""
        return fetch_page(self.admin, target, GIVE_UP_S)


def test_endpoint_outlives_an_upgrade(tmp_path: Path) -> None:
    """The same socket listens all the time, and upgrades are counted."""
    path = tmp_path / "admin"
    with Served("--admin", f"unix:{path}") as daemon:
        inode = path.stat().st_ino
        for done in (1, 2):
            must_reload(daemon)
            assert path.stat().st_ino == inode
            assert f'upgrades_total{{outcome="done"}} {done}.0' in (
                daemon.page("/metrics").text
            )
        assert daemon.page("/readyz").status == 200
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(GIVE_UP_S) == 0
    assert not path.exists()


@pytest.fixture
def storm_yaml(tmp_path: Path) -> Path:
    """Return the path of a storm.yaml that names no endpoint yet."""
    file = tmp_path / "storm.yaml"
    file.write_text("pacemaker.servers: [pm1]\n")
    return file


def write_endpoint(storm_yaml: Path, place: str) -> None:
    """Name an endpoint in storm.yaml."""
    storm_yaml.write_text(f'pacemaker.py.admin: "{place}"\n')


def test_endpoint_that_a_reload_opens_knows_what_was_before(
    tmp_path: Path, storm_yaml: Path
) -> None:
    """A daemon without an endpoint keeps the history all the same."""
    place = f"unix:{tmp_path / 'admin'}"
    with daemons.Daemon("--config", str(storm_yaml), *NO_SLACK) as daemon:
        with Wire(daemon.address) as peer:
            put(peer)
        write_endpoint(storm_yaml, place)
        must_reload(daemon)
        page = fetch_page(parse_admin_address(place), "/history", GIVE_UP_S).text
        assert list(parse_history("pm", page).keys)
        storm_yaml.write_text("pacemaker.servers: [pm1]\n")
        must_reload(daemon)
        assert status_client.ask(daemon.pid, GIVE_UP_S)["admin"] is None
        assert not (tmp_path / "admin").exists()


def test_endpoint_that_a_reload_cannot_open_costs_no_heartbeat(
    storm_yaml: Path,
) -> None:
    """The daemon logs an error and serves on without an endpoint."""
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        daemons.Daemon("--config", str(storm_yaml), *NO_SLACK) as daemon,
        Wire(daemon.address) as peer,
    ):
        put(peer)
        place = f"127.0.0.1:{other.getsockname()[1]}"
        write_endpoint(storm_yaml, place)
        must_reload(daemon)
        put(peer)
        figures = status_client.ask(daemon.pid, GIVE_UP_S)
        assert (figures["keys"], figures["admin"]) == (1, None)
        daemon.logged(f"without its admin endpoint: .*{re.escape(place)}")


def test_endpoint_in_use_stops_the_start() -> None:
    """If the endpoint's address is in use, the daemon does not start without it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        argv = [*daemons.SERVE, "-c", "pacemaker.port=0", "--admin", place]
        child = Child(argv, env=daemons.ENVIRONMENT)
        assert child.wait(GIVE_UP_S) == 69
        assert f"{place} (--admin)" in "".join(child.stderr.all())
        child.close()


def start_without_port(*options: str) -> Child:
    """Start a daemon whose port is taken; return it after its end."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        place = ["--bind", "127.0.0.1", "-c", f"pacemaker.port={port}"]
        child = Child([*daemons.SERVE, *place, *options], env=daemons.ENVIRONMENT)
        assert child.wait(GIVE_UP_S) == 69
    return child


def test_start_that_fails_leaves_no_socket_file(tmp_path: Path) -> None:
    """The endpoint is opened before the port, which is taken."""
    path = tmp_path / "admin"
    child = start_without_port("--admin", f"unix:{path}")
    assert f"admin endpoint on unix:{path}" in "\n".join(child.stderr.all())
    child.close()
    assert not path.exists()


def test_endpoint_without_a_thread_leaves_no_socket_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listens by the time at which the thread is refused."""
    path = tmp_path / "admin"

    def refuse(_: threading.Thread) -> None:
        raise StartError("no thread")

    monkeypatch.setattr(module, "start_thread", refuse)
    with pytest.raises(StartError, match="no thread"):
        AdminEndpoint(AdminOptions(AdminAddress(path=str(path))))
    assert not path.exists()


def test_socket_of_a_killed_daemon_does_not_stop_the_next_start(tmp_path: Path) -> None:
    """Its file is still there, and nobody listens."""
    place = ("--admin", f"unix:{tmp_path / 'admin'}")
    with Served(*place) as killed:
        killed.signal(signal.SIGKILL)
        killed.wait(GIVE_UP_S)
    with Served(*place) as daemon:
        assert daemon.page("/readyz").status == 200


def test_socket_of_a_living_daemon_stops_another_start(tmp_path: Path) -> None:
    """And goes on to answer for the first one."""
    place = ("--admin", f"unix:{tmp_path / 'admin'}")
    with Served(*place) as first:
        argv = [*daemons.SERVE, "-c", "pacemaker.port=0", *place]
        second = Child(argv, env=daemons.ENVIRONMENT)
        assert second.wait(GIVE_UP_S) == 69
        assert "(--admin)" in "\n".join(second.stderr.all())
        second.close()
        assert first.page("/readyz").status == 200


def test_status_says_where_the_endpoint_is(tmp_path: Path) -> None:
    """So that a health check needs no configuration, also after an upgrade."""
    place = f"unix:{tmp_path / 'admin'}"
    with Served("--admin", place) as daemon:
        must_reload(daemon)
        assert status_client.ask(daemon.pid, GIVE_UP_S)["admin"] == place


@pytest.mark.real
def test_promtool_finds_nothing_to_say_of_a_daemon() -> None:
    """The tool promtool accepts the page of a daemon that has served some requests."""
    with Served("--admin", "127.0.0.1:0") as daemon, Wire(daemon.address) as peer:
        put(peer)
        assert complaints(daemon.page("/metrics").text) == ""


# --- the history ---------------------------------------------------------------


def history_of(daemon: Served) -> DaemonFacts:
    """Ask a daemon for its history."""
    return parse_history("pm", daemon.page("/history").text)


def end_of_the_writer(daemon: Served) -> str:
    """Return how the connection of the only key has ended, once it has.

    The log says so a moment before the history does.
    """
    give_up_s = time.monotonic() + GIVE_UP_S
    while True:
        (key,) = history_of(daemon).keys.values()
        if key.end != "open":
            return key.end
        assert time.monotonic() < give_up_s, key


def test_history_outlives_an_upgrade() -> None:
    """After an upgrade, the same connections do not count as new ones."""
    with Served("--admin", "127.0.0.1:0") as daemon:
        with Wire(daemon.address) as peer:
            put(peer)
            put(peer)
            before = history_of(daemon)
            must_reload(daemon)
            put(peer)
            (key,) = history_of(daemon).keys.values()
            # On a busy machine the upgrade takes so long that a pulse is late.
            assert "writer" not in {event.kind for event in key.events}
            assert key.end == "open"
            assert key.first_s == pytest.approx(
                next(iter(before.keys.values())).first_s, abs=1.0
            )
        assert end_of_the_writer(daemon) == "fin"


def test_end_of_a_connection_is_noted_after_an_upgrade() -> None:
    """Also of one that has sent nothing since: its worker may have hung before."""
    with Served("--admin", "127.0.0.1:0") as daemon:
        with Wire(daemon.address) as peer:
            put(peer)
            must_reload(daemon)
        assert end_of_the_writer(daemon) == "fin"


def test_history_may_be_off() -> None:
    """Without a history, the page says so, also after an upgrade."""
    with Served("--admin", "127.0.0.1:0", "--no-history") as daemon:
        with Wire(daemon.address) as peer:
            put(peer)
        must_reload(daemon)
        answer = daemon.page("/history")
        assert (answer.status, answer.text) == (
            404,
            "the history is off (--no-history)\n",
        )


def test_history_is_a_read(tmp_path: Path) -> None:
    """With authentication, it needs the token; a Unix socket needs none."""
    jaas, yaml = tmp_path / "jaas", tmp_path / "storm.yaml"
    jaas.write_text('PacemakerDigest { username="u" password="p"; };')
    yaml.write_text(
        f"pacemaker.auth.method: DIGEST\njava.security.auth.login.config: {jaas}\n"
    )
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    options = ("--config", str(yaml), "--admin-token-file", str(token))
    with Served("--admin", "127.0.0.1:0", *options) as daemon:
        assert daemon.page("/history").status == 401
        assert daemon.page("/metrics").status == 200
        for given, status in (("wrong", 401), ("s3cret", 200)):
            assert (
                fetch_page(daemon.admin, "/history", GIVE_UP_S, given).status == status
            )
    path = tmp_path / "admin"
    with Served("--admin", f"unix:{path}", "--config", str(yaml)) as daemon:
        assert daemon.page("/history").status == 200


def test_flood_of_connections_costs_no_pulse() -> None:
    """A port scan, clients that say nothing, and a thousand connections at once."""
    with Served("--admin", "127.0.0.1:0") as daemon, Wire(daemon.address) as peer:
        place = (daemon.admin.host, daemon.admin.port)
        with contextlib.ExitStack() as opened:
            for number in range(1000):
                sock = socket.socket()
                opened.callback(sock.close)
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(place)
                if number % 2:
                    sock.close()
                if not number % 20:
                    put(peer)
        assert daemon.page("/livez").status == 200
        assert 'type="send_pulse"} 50.0' in daemon.page("/metrics").text
