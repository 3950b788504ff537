"""A relay as a process between real clients and real Pacemakers."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.admin.address import AdminAddress, parse_admin_address
from pacemaker.admin.client import fetch_page
from pacemaker.cli.output import exit_codes
from pacemaker.client.address import ServerAddress
from pacemaker.client.connection import PacemakerConnection
from pacemaker.client.requests import get_pulse
from pacemaker.config import AuthMethod, Settings
from pacemaker.sasl.setup import set_up_client
from pacemaker.why.facts import DaemonFacts, parse_history
from tests.prometheus import complaints
from tests.real.daemons import free_port
from tests.relay.processes import RELAY, RelayProcess, Upstream, name_of
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
# Far more than a relay takes to connect again.
GIVE_UP_S = 30.0


@pytest.fixture(scope="module")
def pacemakers() -> Iterator[list[Upstream]]:
    """Start two Pacemakers."""
    with Upstream() as first, Upstream() as second:
        yield [first, second]


@pytest.fixture
def relay(pacemakers: list[Upstream]) -> Iterator[RelayProcess]:
    """Start a relay to both."""
    with RelayProcess([pacemaker.name for pacemaker in pacemakers]) as started:
        for _ in pacemakers:
            started.logged(r"\(pulses\): connected", 20)
        yield started


def get(key: str, message_id: int = 7) -> bytes:
    """Return the frame of a GET_PULSE."""
    return wire.path_request(Type.GET_PULSE, key, message_id)


def reads(server: tuple[str, int], key: str, value: bytes | None) -> bool:
    """Read a key until it has a value; only a value that never comes fails."""
    expected = wire.pulse_reply(key, value, 7)
    give_up_s = time.monotonic() + GIVE_UP_S
    with Wire(server) as peer:
        while time.monotonic() < give_up_s:
            if peer.ask(get(key)) == expected:
                return True
    return False


def admin_of(relay: RelayProcess) -> AdminAddress:
    """Return the address of a relay's admin endpoint."""
    (place,) = re.findall(r"admin endpoint on (\S+)", "\n".join(relay.stderr.all()))
    return parse_admin_address(place)


def metrics_of(relay: RelayProcess) -> str:
    """Read the page of metrics; a relay serves its port a moment before this page."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while True:
        reply = fetch_page(admin_of(relay), "/metrics", GIVE_UP_S)
        if reply.status == 200:
            return reply.text
        assert time.monotonic() < give_up_s, reply


def history_after_the_end(admin: AdminAddress) -> DaemonFacts:
    """Read the history until no writer's connection is open; that must happen."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while True:
        history = parse_history("relay", fetch_page(admin, "/history", GIVE_UP_S).text)
        if all(facts.end != "open" for facts in history.keys.values()):
            return history
        assert time.monotonic() < give_up_s, history


def test_relay_outlives_the_death_of_a_pacemaker(
    relay: RelayProcess, pacemakers: list[Upstream]
) -> None:
    """A worker and Nimbus notice nothing, and the Pacemaker gets everything again."""
    first, second = pacemakers
    with Wire(relay.address) as worker, Wire(relay.address) as nimbus:
        ack = wire.ack(Type.SEND_PULSE_RESPONSE, 1)
        assert worker.ask(wire.send_pulse(KEY, b"1", 1)) == ack
        assert nimbus.ask(get(KEY)) == wire.pulse_reply(KEY, b"1", 7)
        assert reads(first.address, KEY, b"1")
        assert reads(second.address, KEY, b"1")
        first.kill()
        assert worker.ask(wire.send_pulse(KEY, b"2", 1)) == ack
        assert reads(second.address, KEY, b"2")
        assert nimbus.ask(get(KEY)) == wire.pulse_reply(KEY, b"2", 7)
        first.start()
        assert reads(first.address, KEY, b"2")
        second.kill()
        second.start()
        assert reads(second.address, KEY, b"2")


def test_relay_answers_every_request(relay: RelayProcess) -> None:
    """Each request gets a Pacemaker's reply, also without a message id."""
    key = "/workerbeats/other-1-1700000000/9b1c-6700"
    with Wire(relay.address) as peer:
        path = "/workerbeats/other-1-1700000000"
        peer.ask(wire.send_pulse(key, b"x", 1))
        assert peer.ask(get(key, -1)) == wire.pulse_reply(key, b"x")
        request = wire.path_request
        assert peer.ask(request(Type.EXISTS, key, 2)) == wire.exists_reply(True, 2)
        listed = peer.ask(request(Type.GET_ALL_NODES_FOR_PATH, path, 3))
        assert wire.nodes_of(listed)[1] == {b"9b1c-6700"}
        kind = Type.GET_ALL_PULSE_FOR_PATH
        reply = wire.ack(Type.GET_ALL_PULSE_FOR_PATH_RESPONSE, 4)
        assert peer.ask(request(kind, path, 4)) == reply
        reply = wire.ack(Type.CREATE_PATH_RESPONSE, 5)
        assert peer.ask(request(Type.CREATE_PATH, path, 5)) == reply
        reply = wire.ack(Type.DELETE_PATH_RESPONSE, 6)
        assert peer.ask(request(Type.DELETE_PATH, path, 6)) == reply
        assert peer.ask(request(Type.EXISTS, key, 7)) == wire.exists_reply(False, 7)
        reply = wire.ack(Type.DELETE_PULSE_ID_RESPONSE)
        assert peer.ask(request(Type.DELETE_PULSE_ID, key)) == reply


def test_requests_without_an_id_are_answered_in_order(relay: RelayProcess) -> None:
    """Their sender could not tell the replies apart."""
    key = "/workerbeats/plain-1-1700000000/1"
    with Wire(relay.address) as peer:
        peer.send(
            wire.send_pulse(key, b"1")
            + wire.path_request(Type.EXISTS, key)
            + wire.path_request(Type.DELETE_PATH, key)
            + wire.path_request(Type.EXISTS, key)
            + wire.send_pulse(key, b"2")
        )
        replies = [peer.receive() for _ in range(5)]
    assert replies == [
        wire.ack(Type.SEND_PULSE_RESPONSE),
        wire.exists_reply(True),
        wire.ack(Type.DELETE_PATH_RESPONSE),
        wire.exists_reply(False),
        wire.ack(Type.SEND_PULSE_RESPONSE),
    ]


def test_relay_shows_prometheus_which_pacemakers_are_up(tmp_path: Path) -> None:
    """The figures show which are up, and what waits for one that is away."""
    place = parse_admin_address(f"unix:{tmp_path / 'admin'}")
    key = "/workerbeats/words-1-1700000000/4"
    with (
        Upstream() as pacemaker,
        RelayProcess([pacemaker.name], "--admin", str(place)) as relay,
        Wire(relay.address) as worker,
    ):
        label = f'{{pacemaker="{pacemaker.name}"}}'

        def has_line(pattern: str) -> bool:
            give_up_s = time.monotonic() + GIVE_UP_S
            while time.monotonic() < give_up_s:
                page = fetch_page(place, "/metrics", GIVE_UP_S).text
                if re.search(f"^{pattern}$", page, re.MULTILINE):
                    return True
            return False

        def shows(name: str, value: str) -> bool:
            return has_line(re.escape(f"storm_pacemaker_relay_{name}{label} {value}"))

        assert shows("up", "1.0")
        pacemaker.kill()
        assert shows("up", "0.0")
        assert worker.ask(wire.send_pulse(key, b"1", 1))
        assert shows("waiting_pulses", "1.0")
        assert shows("losses_total", "1.0")
        worker.send(get(key))
        assert has_line(r"storm_pacemaker_held_read_bytes [1-9].*")
        pacemaker.start()
        assert shows("up", "1.0")
        assert shows("waiting_pulses", "0.0")


def test_relay_stops_on_sigterm(relay: RelayProcess) -> None:
    """Its peers are reset, as by `serve`, and the exit code is 0."""
    with Wire(relay.address) as peer:
        peer.ask(wire.send_pulse(KEY, b"1", 1))
        relay.signal(signal.SIGTERM)
        assert peer.ended() == "reset"
        assert relay.wait() == 0


def test_upgrade_in_place_carries_the_workers_over(
    relay: RelayProcess, pacemakers: list[Upstream]
) -> None:
    """After an upgrade, the newest heartbeat of a worker is still repeated."""
    key = "/workerbeats/carried-1-1700000000/1"
    first, _ = pacemakers
    with Wire(relay.address) as worker, Wire(relay.address) as nimbus:
        worker.ask(wire.send_pulse(key, b"1", 1))
        assert nimbus.ask(get(key)) == wire.pulse_reply(key, b"1", 7)
        relay.signal(signal.SIGUSR2)
        relay.logged("upgraded to .* 2 connections and [0-9]+ heartbeats?", 60)
        first.kill()
        first.start()
        assert reads(first.address, key, b"1")
        assert nimbus.ask(get(key)) == wire.pulse_reply(key, b"1", 7)


def test_relay_keeps_the_history_of_its_workers(pacemakers: list[Upstream]) -> None:
    """With each worker's own connection, also over an upgrade in place."""
    names = [pacemaker.name for pacemaker in pacemakers]
    with RelayProcess(names, "--admin", "127.0.0.1:0") as relay:
        admin = admin_of(relay)
        with Wire(relay.address) as worker:
            worker.ask(wire.send_pulse(KEY, b"1", 1))
            host, port = worker.socket.getsockname()[:2]
            relay.signal(signal.SIGUSR2)
            relay.logged("upgraded to ", 60)
            worker.ask(wire.send_pulse(KEY, b"2", 2))
            worker.ask(wire.path_request(Type.DELETE_PATH, KEY, 3))
        history = history_after_the_end(admin)
    assert history.is_relay
    (facts,) = history.keys.values()
    assert (facts.peer, facts.end) == (f"{host}:{port}", "fin")
    assert "deleted" in {event.kind for event in facts.events}


@pytest.mark.real
def test_promtool_finds_nothing_to_say_of_a_relay(pacemakers: list[Upstream]) -> None:
    """The tool promtool accepts the page of a relay that has served some requests."""
    names = [pacemaker.name for pacemaker in pacemakers]
    with RelayProcess(names, "--admin", "127.0.0.1:0") as relay:
        with Wire(relay.address) as peer:
            peer.ask(wire.send_pulse(KEY, b"1", 1))
        page = metrics_of(relay)
    assert "storm_pacemaker_relay_" in page
    assert complaints(page) == ""


def test_upgrade_in_place_keeps_missed_deletes(
    relay: RelayProcess, pacemakers: list[Upstream]
) -> None:
    """A Pacemaker that was stopped meanwhile still gets the delete."""
    path = "/workerbeats/deleted-1-1700000000"
    first, _ = pacemakers
    with Wire(relay.address) as worker, Wire(first.address) as direct:
        assert direct.ask(wire.send_pulse(f"{path}/1", b"1", 1))
        first.process.signal(signal.SIGSTOP)
        try:
            deleted = wire.ack(Type.DELETE_PATH_RESPONSE, 2)
            assert worker.ask(wire.path_request(Type.DELETE_PATH, path, 2)) == deleted
            relay.signal(signal.SIGUSR2)
            relay.logged("upgraded to", 60)
        finally:
            first.process.signal(signal.SIGCONT)
        assert reads(first.address, f"{path}/1", None)


def test_relay_refuses_to_relay_to_itself() -> None:
    """The relay recognizes itself by address, whatever the name is."""
    port = free_port()
    argv = [*RELAY, "--bind", "127.0.0.1", "--to", f"localhost:{port}"]
    done = subprocess.run(
        [*argv, "-c", f"pacemaker.port={port}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_codes.WRONG_CONFIGURATION
    assert "is this relay itself" in done.stderr
    assert "Traceback" not in done.stderr


def test_relays_do_not_chain(relay: RelayProcess) -> None:
    """Both relays log what is wrong."""
    with RelayProcess([name_of(relay.address)]) as other:
        assert relay.logged("closed: the peer is a relay like this one", 20)
        assert other.logged("is it a Pacemaker, and not a relay", 20)


def test_relay_without_pacemakers_says_what_to_set() -> None:
    """The error names the key and the option."""
    done = subprocess.run(RELAY, capture_output=True, text=True, check=False)
    assert done.returncode == exit_codes.WRONG_CONFIGURATION
    assert "pacemaker.relay.servers" in done.stderr
    assert "--to" in done.stderr


DIGEST = ("-c", "pacemaker.auth.method=DIGEST")


@pytest.fixture
def jaas_file(tmp_path: Path) -> Path:
    """Write credentials for DIGEST."""
    file = tmp_path / "jaas.conf"
    file.write_text(
        "PacemakerDigest {\n"
        "    org.apache.zookeeper.server.auth.DigestLoginModule required\n"
        '    username="u" password="p";\n};\n'
    )
    file.chmod(0o600)
    return file


def test_relay_authenticates_both_ways(jaas_file: Path) -> None:
    """With credentials, Nimbus reads through the relay as from a Pacemaker."""
    options = (*DIGEST, "-c", f"java.security.auth.login.config={jaas_file}")
    key = "/workerbeats/secret-1-1700000000/1"
    with (
        Upstream(*options) as pacemaker,
        RelayProcess([pacemaker.name], *options) as relay,
        Wire(relay.address) as worker,
    ):
        worker.ask(wire.send_pulse(key, b"1", 1))
        refused = wire.ack(Type.NOT_AUTHORIZED, 7)
        assert worker.ask(get(key)) == refused
        settings = Settings(auth_method=AuthMethod.DIGEST, jaas_file=jaas_file)
        factory = set_up_client(settings).factory
        address = ServerAddress(*relay.address)
        with PacemakerConnection(
            address, timeout_s=20, mechanism_factory=factory
        ) as nimbus:
            assert nimbus.request(get_pulse(key)) == b"1"


def test_relay_without_credentials_only_writes(jaas_file: Path) -> None:
    """Without credentials reads are refused, and one line in the log says why."""
    secret = ("-c", f"java.security.auth.login.config={jaas_file}")
    key = "/workerbeats/secret-1-1700000000/2"
    with (
        Upstream(*DIGEST, *secret) as pacemaker,
        RelayProcess([pacemaker.name], *DIGEST) as relay,
        RelayProcess([pacemaker.name], *DIGEST, *secret) as nimbus_relay,
        Wire(relay.address) as worker,
        Wire(relay.address) as client,
    ):
        log = "\n".join(relay.stderr.all())
        assert log.count("no credentials for DIGEST on this host") == 1
        assert worker.ask(wire.send_pulse(key, b"1", 1))
        assert worker.ask(get(key)) == wire.ack(Type.NOT_AUTHORIZED, 7)
        client.send(wire.control(-202))
        assert client.ended() == "eof"
        settings = Settings(auth_method=AuthMethod.DIGEST, jaas_file=jaas_file)
        factory = set_up_client(settings).factory
        address = ServerAddress(*nimbus_relay.address)
        with PacemakerConnection(
            address, timeout_s=20, mechanism_factory=factory
        ) as nimbus:
            assert nimbus.request(get_pulse(key)) == b"1"


def test_refusal_by_a_pacemaker_does_not_reach_nimbus(jaas_file: Path) -> None:
    """A Pacemaker that refuses reads counts as away for reads, and gets the pulses."""
    secret = ("-c", f"java.security.auth.login.config={jaas_file}")
    key = "/workerbeats/words-1-1700000000/3"
    with (
        Upstream(*DIGEST, *secret) as strict,
        Upstream() as open_to_all,
        RelayProcess([strict.name, open_to_all.name]) as relay,
        Wire(relay.address) as nimbus,
    ):
        nimbus.ask(wire.send_pulse(key, b"1", 1))
        assert nimbus.ask(get(key)) == wire.pulse_reply(key, b"1", 7)
        assert relay.logged(r"\(reads\): no connection: it refuses reads", 20)
        relay.signal(signal.SIGUSR1)
        assert relay.logged(r"pacemakers: .*reads=down.*waiting_pulses=0", 20)
