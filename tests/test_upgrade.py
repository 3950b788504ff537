"""The whole daemon is upgraded in place, while its peers continue.

Each case is a real process.  If the order of events matters, the configuration file is
a named pipe: a process that starts blocks on reading it until the test writes it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from pacemaker.config import Settings
from pacemaker.core.protocol.protocol_snapshot import ProtocolSnapshot
from pacemaker.sasl.digest import DigestClient, digest_secret
from pacemaker.sasl.secret import Secret
from pacemaker.sasl.setup import set_up_server
from pacemaker.server.io.sockets import set_reset_on_close
from pacemaker.server.upgrade.execute import STATE_VARIABLE
from pacemaker.server.upgrade.memfd import write_state
from pacemaker.server.upgrade.state_format import security_digest
from pacemaker.server.upgrade_state import ConnectionState, DaemonState, PeerAddress
from tests.real.daemons import SERVE, Daemon, Served
from tests.server.process.test_notify import Manager
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire, control, token, token_of

pytestmark = pytest.mark.io

GIVE_UP_S = 60.0
UPGRADED = r"upgraded to \S+: (\d+) connections? and (\d+) heartbeats? carried over"
JAAS = 'PacemakerDigest {{ x.Y required username="u" password="{}"; }};\n'
NO_SLACK = ("--hold", "0")
KEY = "/workerbeats/words-1-1700000000/7a4e-6700"


def reload(daemon: Served, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command that upgrades a daemon and waits for the outcome."""
    argv = [sys.executable, "-m", "pacemaker", "reload", str(daemon.pid), *options]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=GIVE_UP_S, check=False
    )


def must_reload(daemon: Served) -> None:
    """Upgrade a daemon, and see that the command says so."""
    done = reload(daemon)
    said = f"process {daemon.pid} was upgraded and serves\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr


def refusal(daemon: Served) -> str:
    """Try to upgrade a daemon, and return why it refused."""
    done = reload(daemon)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.removeprefix("Error: refused: ").strip()


def get(peer: Wire, path: str = KEY) -> bytes:
    """Read a heartbeat."""
    return peer.ask(wire.path_request(Type.GET_PULSE, path, 9))


def put(peer: Wire, path: str = KEY, value: bytes = b"beat") -> None:
    """Write a heartbeat."""
    reply = peer.ask(wire.send_pulse(path, value, 8))
    assert reply == wire.ack(Type.SEND_PULSE_RESPONSE, 8)


def hit(path: str = KEY, value: bytes = b"beat") -> bytes:
    """Return the reply to `get` where the heartbeat is there."""
    return wire.pulse_reply(path, value, 9)


class Workers:
    """Connections that each write one key, over and over, until they are stopped."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._peers = [Wire(address, GIVE_UP_S) for _ in range(count)]
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        parts = [self._peers[start::4] for start in range(4)]
        self._written = [
            self._pool.submit(self._write, part, start)
            for start, part in enumerate(parts)
        ]

    def _write(self, peers: Sequence[Wire], start: int) -> dict[str, bytes]:
        written: dict[str, bytes] = {}
        beat = 0
        while not self._stop.is_set():
            beat += 1
            for number, peer in enumerate(peers):
                path, value = f"/w/{start}-{number}", b"beat %d" % beat
                put(peer, path, value)
                written[path] = value
        return written

    def stop(self) -> dict[str, bytes]:
        """Return the last value of each key that was acknowledged."""
        self._stop.set()
        written: dict[str, bytes] = {}
        for part in self._written:
            written |= part.result(GIVE_UP_S)
        self._pool.shutdown()
        for peer in self._peers:
            peer.close()
        return written


@pytest.mark.parametrize("threads", ["1", "4"])
def test_workers_notice_nothing_of_upgrades(threads: str) -> None:
    """The same process, every connection open, no pulse lost, every value kept."""
    with Daemon("--io-threads", threads, *NO_SLACK) as daemon:
        workers = Workers(daemon.address, 40)
        for _ in range(3):
            must_reload(daemon)
        written = workers.stop()
        assert len(written) == 40
        with Wire(daemon.address) as reader:
            for path, value in written.items():
                assert get(reader, path) == hit(path, value)
        logged = daemon.stderr.all()
    upgrades = [match for line in logged if (match := re.search(UPGRADED, line))]
    assert [match[1] for match in upgrades] == ["40"] * 3
    connected = [line for line in logged if line.endswith(": connected")]
    assert len({line.split()[-2] for line in connected}) == len(connected), "greeted"


def test_requests_in_part_are_completed_by_the_new_process() -> None:
    """Bytes that were read, and those that wait in the kernel, go over."""
    frame = wire.send_pulse(KEY, b"x" * 300, 3)
    with Daemon(*NO_SLACK) as daemon:
        peers = [Wire(daemon.address) for _ in range(0, len(frame), 13)]
        for number, peer in enumerate(peers):
            put(peer)
            peer.send(frame[: number * 13])
        must_reload(daemon)
        for number, peer in enumerate(peers):
            peer.send(frame[number * 13 :])
            assert peer.receive() == wire.ack(Type.SEND_PULSE_RESPONSE, 3)
            peer.close()


def test_replies_that_were_not_taken_are_sent_by_the_new_process() -> None:
    """A reply larger than all buffers of the kernel arrives whole, and in order."""
    value = os.urandom(9 * 2**20)
    with Daemon(*NO_SLACK) as daemon, Wire(daemon.address, GIVE_UP_S) as peer:
        put(peer, value=value)
        for _ in range(3):
            peer.send(wire.path_request(Type.GET_PULSE, KEY, 9))
        # The first bytes are there: the rest waits in the daemon.
        peer.socket.recv(1, socket.MSG_PEEK)
        must_reload(daemon)
        for _ in range(3):
            assert peer.receive() == hit(value=value)
        put(peer)


# --- security ---------------------------------------------------------------


@pytest.fixture
def jaas(tmp_path: Path) -> Path:
    """Write a JAAS file for DIGEST."""
    file = tmp_path / "jaas.conf"
    file.write_text(JAAS.format("secret"))
    file.chmod(0o600)
    return file


@pytest.fixture
def digest(jaas: Path) -> Iterator[Daemon]:
    """Run a daemon with DIGEST, configured by a storm.yaml beside the JAAS file."""
    write_digest_yaml(jaas)
    with Daemon("--config", str(storm_yaml(jaas)), *NO_SLACK) as daemon:
        yield daemon


def storm_yaml(jaas: Path) -> Path:
    """Return the path of the storm.yaml."""
    return jaas.with_name("storm.yaml")


def write_digest_yaml(jaas: Path, *more: str) -> None:
    """Write a storm.yaml for DIGEST."""
    lines = (
        "pacemaker.auth.method: DIGEST",
        f"java.security.auth.login.config: {jaas}",
        *more,
    )
    storm_yaml(jaas).write_text("\n".join(lines) + "\n")


def authenticate(peer: Wire) -> None:
    """Go through the whole exchange of DIGEST."""
    client = DigestClient(digest_secret("u", Secret("secret")), "test")
    response = client.step(token_of(peer.ask(control(-202))))
    assert response
    client.step(token_of(peer.ask(token(response))))
    assert peer.receive() == control(-203)


def test_who_has_authenticated_may_read_on_and_nobody_else(digest: Daemon) -> None:
    """Rights go over as they were: to read, to write alone, to authenticate yet."""
    with (
        Wire(digest.address) as reader,
        Wire(digest.address) as writer,
        Wire(digest.address) as silent,
    ):
        authenticate(reader)
        put(writer)
        assert get(writer) == wire.ack(Type.NOT_AUTHORIZED, 9)
        for _ in range(2):
            must_reload(digest)
            assert get(reader) == hit()
            assert get(writer) == wire.ack(Type.NOT_AUTHORIZED, 9)
        authenticate(silent)
        assert get(silent) == hit()


def test_connection_amid_sasl_is_reset(digest: Daemon, jaas: Path) -> None:
    """Half an exchange is not carried over."""
    text = storm_yaml(jaas).read_text()
    pipe = Pipe(storm_yaml(jaas))
    digest.signal(signal.SIGUSR2)
    with Wire(digest.address) as amid, Wire(digest.address) as writer:
        put(writer)
        with pipe.opened() as file:
            # Only now: an exchange has 10 s to finish.
            amid.ask(control(-202))
            file.write(text)
        assert amid.ended() == "reset"
        digest.logged("upgrade: resetting 1 connection")
        pipe.write(text)
        put(writer)


@pytest.mark.parametrize("change", ["password", "method", "user"])
def test_every_connection_is_reset_where_the_security_settings_change(
    digest: Daemon, jaas: Path, change: str
) -> None:
    """Who was let in by other rules comes again; the heartbeats stay."""
    with Wire(digest.address) as reader, Wire(digest.address) as writer:
        authenticate(reader)
        put(writer)
        if change == "password":
            jaas.write_text(JAAS.format("another"))
        elif change == "user":
            write_digest_yaml(jaas, "nimbus.daemon.user: somebody")
        else:
            storm_yaml(jaas).write_text("pacemaker.auth.method: NONE\n")
        must_reload(digest)
        digest.logged("security settings changed: resetting 2 connections")
        assert reader.ended() == "reset"
        assert writer.ended() == "reset"
    if change == "method":
        with Wire(digest.address) as reader:
            assert get(reader) == hit()


# --- refusals ---------------------------------------------------------------


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    """Write a storm.yaml that names one Pacemaker."""
    file = tmp_path / "storm.yaml"
    file.write_text("pacemaker.servers: [localhost]\n")
    return file


def configured(yaml: Path, *options: str) -> Daemon:
    """Start a daemon with a storm.yaml."""
    return Daemon("--config", str(yaml), *NO_SLACK, *options)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "pacemaker.max.threads: many\n",
            "pacemaker.max.threads: 'many': must be an integer",
        ),
        ("a: [\n", "storm.yaml, line 1, column 4"),
        ("pacemaker.auth.method: DIGEST\n", "must name a JAAS file"),
        (
            "pacemaker.max.threads: 3\n",
            "4 is more than pacemaker.max.threads, which is 3",
        ),
    ],
)
def test_daemon_serves_on_where_the_new_configuration_is_wrong(
    yaml: Path, text: str, reason: str
) -> None:
    """The command names what is wrong, the log too; nothing else happens."""
    with configured(yaml, "--io-threads", "4") as daemon, Wire(daemon.address) as peer:
        put(peer)
        yaml.write_text(text)
        assert reason in refusal(daemon)
        daemon.logged(rf"upgrade refused, .* serve: .*{re.escape(reason)}")
        assert get(peer) == hit()
        # As process 1 of a container, too, nothing is left of the trial.
        assert not children(daemon.pid)
        yaml.write_text("pacemaker.servers: [localhost]\n")
        must_reload(daemon)
        assert get(peer) == hit()


def children(pid: int) -> list[str]:
    """Return the process ids of a process's children, reaped or not."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def test_daemon_keeps_its_port(yaml: Path) -> None:
    """Another port is refused, and the reason says what it needs."""
    yaml.write_text("pacemaker.port: 0\n")
    with (
        Served([*SERVE, "--bind", "127.0.0.1", "--config", str(yaml)]) as daemon,
        Wire(daemon.address) as peer,
    ):
        put(peer)
        yaml.write_text("pacemaker.port: 6700\n")
        reason = refusal(daemon)
        assert reason.startswith("pacemaker.port was changed from 0 to 6700")
        assert get(peer) == hit()


LIMITED = """
import os, resource, sys
resource.setrlimit(getattr(resource, sys.argv[1]), (int(sys.argv[2]),) * 2)
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.mark.parametrize(
    ("limit", "size", "reason"),
    [
        ("RLIMIT_FSIZE", 2**20, "the state cannot be handed over: File too large"),
        ("RLIMIT_AS", 450 * 2**20, r"not enough memory: the upgrade needs \d+ MiB"),
    ],
)
def test_daemon_serves_on_where_the_state_has_no_room(
    limit: str, size: int, reason: str
) -> None:
    """A state that the kernel refuses to hold, or that would pass a limit."""
    argv = [sys.executable, "-c", LIMITED, limit, str(size), *SERVE, *NO_SLACK]
    argv += ["--bind", "127.0.0.1", "-c", "pacemaker.port=0"]
    value = bytes(8 * 2**20)
    with Served(argv) as daemon, Wire(daemon.address, GIVE_UP_S) as peer:
        for number in range(25):
            put(peer, f"/w/{number}", value)
        for _ in range(2):
            assert re.match(reason, refusal(daemon))
        assert get(peer, "/w/7") == hit("/w/7", value)


def test_reload_of_a_process_that_is_none() -> None:
    """The command says what is wrong, and sends no signal to a stranger."""
    with Daemon() as daemon:
        daemon.stop()
        done = reload(daemon)
    assert done.returncode == 1
    assert "is not a running storm-pacemaker-py daemon" in done.stderr


# --- signals ----------------------------------------------------------------


class Pipe:
    """A storm.yaml that is a named pipe: a start waits until it is written."""

    def __init__(self, yaml: Path) -> None:
        self._yaml = yaml
        self._renew()

    def _renew(self) -> None:
        fifo = self._yaml.with_name("fifo")
        os.mkfifo(fifo)
        fifo.replace(self._yaml)

    def write(self, text: str = "pacemaker.servers: [localhost]\n") -> None:
        """Wait for a start that reads, and let it go on."""
        with self.opened() as file:
            file.write(text)

    def opened(self) -> IO[str]:
        """Wait for a start that reads; it goes on when the file is closed."""
        file = self._yaml.open("w")
        # The next start reads from another one, so that each reads once.
        self._renew()
        return file


def test_two_signals_are_two_upgrades(yaml: Path) -> None:
    """One that comes while another is tried is taken after it."""
    with configured(yaml) as daemon, Wire(daemon.address) as peer:
        put(peer)
        pipe = Pipe(yaml)
        daemon.signal(signal.SIGUSR2)
        with pipe.opened() as first:
            for _ in range(5):
                daemon.signal(signal.SIGUSR2)
            first.write("pacemaker.servers: [localhost]\n")
        for _ in range(3):
            pipe.write()
        for _ in range(2):
            daemon.logged(UPGRADED)
        assert get(peer) == hit()


def test_second_signal_is_taken_where_the_first_was_refused(yaml: Path) -> None:
    """A request is not lost with the refusal of the one before it."""
    with configured(yaml) as daemon, Wire(daemon.address) as peer:
        put(peer)
        pipe = Pipe(yaml)
        daemon.signal(signal.SIGUSR2)
        with pipe.opened() as first:
            daemon.signal(signal.SIGUSR2)
            first.write("pacemaker.max.threads: many\n")
        daemon.logged("upgrade refused")
        for _ in range(2):
            pipe.write()
        daemon.logged(UPGRADED)
        assert get(peer) == hit()


def test_two_commands_at_once_both_succeed() -> None:
    """Each gets the outcome of an upgrade that began after it."""
    with Daemon(*NO_SLACK) as daemon, ThreadPoolExecutor(3) as pool:
        for done in pool.map(reload, [daemon] * 3):
            assert (done.returncode, done.stderr) == (0, "")


def test_stop_ends_a_trial(yaml: Path) -> None:
    """SIGTERM while the new one is tried stops the daemon, and tells who waits."""
    with configured(yaml) as daemon:
        pipe = Pipe(yaml)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(refusal, daemon)
            file = pipe.opened()
            daemon.signal(signal.SIGTERM)
            assert waiting.result(GIVE_UP_S) == "the daemon is stopping"
            assert daemon.wait(GIVE_UP_S) == 0
            file.close()


def test_stop_amid_an_upgrade_is_taken_by_the_new_process(yaml: Path) -> None:
    """Signals that come between execve and its end of the start are kept."""
    with configured(yaml) as daemon, Wire(daemon.address) as peer:
        put(peer)
        pipe = Pipe(yaml)
        daemon.signal(signal.SIGUSR2)
        pipe.write()
        # Now it is the new process that waits.
        with pipe.opened() as file:
            daemon.signal(signal.SIGTERM)
            file.write("pacemaker.servers: [localhost]\n")
        daemon.logged(UPGRADED)
        daemon.logged("SIGTERM: stopping")
        assert daemon.wait(GIVE_UP_S) == 0
        assert peer.ended() == "reset"


def test_upgrade_amid_an_upgrade_is_taken_by_the_new_process(yaml: Path) -> None:
    """A SIGUSR2 that comes before the new handlers stand does not kill."""
    with configured(yaml) as daemon, Wire(daemon.address) as peer:
        put(peer)
        pipe = Pipe(yaml)
        daemon.signal(signal.SIGUSR2)
        pipe.write()
        with pipe.opened() as file:
            daemon.signal(signal.SIGUSR2)
            file.write("pacemaker.servers: [localhost]\n")
        for _ in range(2):
            pipe.write()
        for _ in range(2):
            daemon.logged(UPGRADED)
        assert get(peer) == hit()


def test_upgrade_is_not_begun_by_a_daemon_that_stops() -> None:
    """A SIGUSR2 behind the SIGTERM changes nothing."""
    with Daemon(*NO_SLACK) as daemon, Wire(daemon.address) as peer:
        # A reply that is not taken holds the stop up.
        put(peer, value=bytes(9 * 2**20))
        for _ in range(3):
            peer.send(wire.path_request(Type.GET_PULSE, KEY, 9))
        daemon.signal(signal.SIGTERM)
        daemon.logged("stopping")
        daemon.signal(signal.SIGUSR2)
        assert daemon.wait(GIVE_UP_S) == 0
        assert not any("upgrade" in line for line in daemon.stderr.all())


# --- a state that cannot be read --------------------------------------------

BECOME = """
import os, socket, sys
listener, state, *others = map(int, sys.argv[1].split(","))
os.dup2(listener, 3)
pid = str(os.getpid())
os.environ.update(LISTEN_FDS="1", LISTEN_PID=pid, {variable}=f"{{pid}}:{{state}}")
for fd in (state, *others):
    os.set_inheritable(fd, True)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Inherited:
    """What a process leaves to itself: a listener, connections, a state of them."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.peers = [Wire(self.listener.getsockname()) for _ in range(3)]
        self.accepted = [self.listener.accept()[0] for _ in self.peers]
        for sock in self.accepted:
            set_reset_on_close(sock, True)
        identity = set_up_server(Settings()).identity
        state = DaemonState(
            parked_s=0.0,
            security_key=bytes(32),
            security_digest=security_digest(bytes(32), identity),
            is_own_listener=True,
            hold_until_s=0.0,
            admin_fd=-1,
            upgrades=0,
            request_fd=-1,
            waiter_fds=(),
            connections=[
                ConnectionState(
                    sock.fileno(),
                    PeerAddress("10.0.0.1", 5),
                    True,
                    0.0,
                    0.0,
                    ProtocolSnapshot(True, False, None, b"", b""),
                )
                for sock in self.accepted
            ],
            history=b"",
            heartbeats=[(KEY, b"beat"), ("/w", bytes(10_000))],
        )
        self.state_fd = write_state(state)

    def serve(self, *options: str) -> Served:
        """Start the daemon as execve does."""
        fds = [self.listener.fileno(), self.state_fd]
        fds += [sock.fileno() for sock in self.accepted]
        become = BECOME.format(variable=STATE_VARIABLE)
        argv = [sys.executable, "-c", become, ",".join(map(str, fds)), *SERVE]
        served = Served([*argv, *options], pass_fds=fds)
        for sock in self.accepted:
            sock.close()
        return served

    def close(self) -> None:
        """Close this process's ends."""
        os.close(self.state_fd)
        self.listener.close()
        for peer in self.peers:
            peer.close()


@pytest.fixture
def inherited() -> Iterator[Inherited]:
    """Make what is left."""
    inherited = Inherited()
    yield inherited
    inherited.close()


def test_state_that_is_whole_is_gone_on_with(inherited: Inherited) -> None:
    """What was written by hand is read as what a daemon writes."""
    with inherited.serve(*NO_SLACK) as daemon:
        for peer in inherited.peers:
            assert get(peer) == hit()
        must_reload(daemon)
        for peer in inherited.peers:
            assert get(peer) == hit()


@pytest.mark.parametrize("damage", ["cut", "changed", "format", "empty", "descriptor"])
def test_state_that_cannot_be_read_is_a_start_with_the_port_alone(
    inherited: Inherited, yaml: Path, damage: str
) -> None:
    """Every connection is reset, none hangs; nothing of the store is there."""
    fd, size = inherited.state_fd, os.fstat(inherited.state_fd).st_size
    if damage == "cut":
        os.truncate(fd, size // 2)
    elif damage == "changed":
        os.pwrite(fd, b"y", size - 5)
    elif damage == "format":
        os.pwrite(fd, b"\xff", 8)
    elif damage == "empty":
        os.truncate(fd, 0)
    else:
        inherited.accepted.pop().close()
    with inherited.serve("--config", str(yaml)) as daemon:
        for peer in inherited.peers:
            assert peer.ended() == "reset"
        log = "\n".join(daemon.stderr.all())
        assert "upgraded, but started empty and reset every connection" in log
        with Wire(daemon.address) as peer:
            missing = wire.exists_reply(False, 9)
            assert peer.ask(wire.path_request(Type.EXISTS, KEY, 9)) == missing
        daemon.logged("holding misses for 10 s")
        must_reload(daemon)


def test_hold_goes_over_with_its_end(yaml: Path) -> None:
    """A read that is held is answered by the new process, once its key is there."""
    with (
        Daemon("--config", str(yaml), "--hold", "100") as daemon,
        Wire(daemon.address) as reader,
        Wire(daemon.address) as writer,
    ):
        reader.send(wire.path_request(Type.GET_PULSE, KEY, 9))
        put(reader, "/other")
        must_reload(daemon)
        held = daemon.logged(r"holding misses for (\d+)")
        assert int(held[1]) <= 100
        put(writer)
        assert reader.receive() == hit()


# --- systemd, imports -------------------------------------------------------


def test_manager_is_told_of_upgrades_and_fed(tmp_path: Path, yaml: Path) -> None:
    """RELOADING is followed by READY, after a refusal as after an upgrade."""
    path = tmp_path / "notify"
    manager = Manager(str(path))
    env = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}
    argv = [*SERVE, "--bind", "127.0.0.1", "-c", "pacemaker.port=0"]
    with Served([*argv, "--config", str(yaml)], env=env) as daemon:
        assert manager.told()["READY"] == "1"
        for _ in range(3):
            assert manager.told() == {"WATCHDOG": "1"}
        must_reload(daemon)
        steps = told_until_ready(manager)
        assert steps[0]["RELOADING"] == "1"
        assert steps[-1]["STATUS"].startswith("serving on 127.0.0.1:")
        yaml.write_text("pacemaker.max.threads: many\n")
        refusal(daemon)
        steps = told_until_ready(manager)
        assert steps[0]["RELOADING"] == "1"
        assert steps[-1]["STATUS"].startswith("upgrade refused: ")
        assert manager.told() == {"WATCHDOG": "1"}
        daemon.signal(signal.SIGTERM)
        while "STOPPING" not in (told := manager.told()):
            assert told == {"WATCHDOG": "1"}
    manager.socket.close()


def told_until_ready(manager: Manager) -> list[dict[str, str]]:
    """Return what a manager is told up to the next READY.

    The feeding is left out, and so is the line of figures once a minute, which comes if
    the machine is slow enough.
    """
    steps: list[dict[str, str]] = []
    while not steps or "READY" not in steps[-1]:
        told = manager.told()
        if told.keys() not in ({"WATCHDOG"}, {"STATUS"}):
            steps.append(told)
    return steps


def test_nothing_is_imported_once_the_daemon_serves(tmp_path: Path, jaas: Path) -> None:
    """Files of the package may be replaced under a running daemon."""
    write_digest_yaml(jaas)
    path = tmp_path / "notify"
    manager = Manager(str(path))
    python, *rest = SERVE
    argv = [python, "-X", "importtime", *rest, "--config", str(storm_yaml(jaas))]
    argv += ["--bind", "127.0.0.1", "-c", "pacemaker.port=0", "--hold", "100"]
    with Served(argv, env={"NOTIFY_SOCKET": str(path)}) as daemon:
        for _ in range(2):
            told_until_ready(manager)
            before = len(imports(daemon))
            use_everything(daemon)
            jaas.write_text("{")
            refusal(daemon)
            jaas.write_text(JAAS.format("secret"))
            assert imports(daemon)[before:] == []
            told_until_ready(manager)
            must_reload(daemon)
        daemon.stop()
    manager.socket.close()


def imports(daemon: Served) -> list[str]:
    """Return the lines that say what was imported."""
    return [line for line in daemon.stderr.all() if line.startswith("import time:")]


def use_everything(daemon: Served) -> None:
    """Have the daemon do all that it does for its peers."""
    with Wire(daemon.address) as reader, Wire(daemon.address) as writer:
        authenticate(reader)
        for path in (KEY, "/größer"):
            put(writer, path)
            assert get(reader, path) == hit(path)
        for kind in (Type.EXISTS, Type.GET_ALL_NODES_FOR_PATH, Type.DELETE_PATH):
            reader.ask(wire.path_request(kind, KEY, 1))
        reader.send(wire.path_request(Type.GET_PULSE, "/absent", 2))
        put(writer, "/absent")
        reader.receive()
        writer.send(b"\xff\xff\xff\xff")
        assert writer.ended() == "eof"
    with Wire(daemon.address) as stranger:
        stranger.ask(control(-202))
        stranger.send(token(b"no response"))
        assert stranger.ended() == "eof"
