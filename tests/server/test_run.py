"""The daemon's process, in an environment that is not as it should be."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker._version import __version__
from pacemaker.server.upgrade.memfd import write_state
from pacemaker.server.upgrade.trial import proof_of, trial_arguments
from tests.real.daemons import SERVE, Daemon, Served
from tests.server.process.test_notify import Manager
from tests.server.upgrade.test_trial import SAMPLE
from tests.test_upgrade import (
    NO_SLACK,
    UPGRADED,
    children,
    get,
    hit,
    must_reload,
    put,
    refusal,
    write_digest_yaml,
)
from tests.wire.by_hand import Type, Wire, path_request

pytestmark = pytest.mark.io

GIVE_UP_S = 60.0
PLACE = ("--bind", "127.0.0.1", "-c", "pacemaker.port=0")


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    """Write a storm.yaml."""
    file = tmp_path / "storm.yaml"
    file.write_text("pacemaker.max.threads: 7\n")
    return file


def prepared(program: str, *options: str) -> list[str]:
    """Return a command that runs some Python and then becomes the daemon."""
    lines = textwrap.dedent(program) + "\nos.execv(sys.argv[1], sys.argv[1:])\n"
    become = [sys.executable, "-c", "import os, signal, socket, sys\n" + lines]
    return [*become, *SERVE, *PLACE, *NO_SLACK, *options]


# --- the log ----------------------------------------------------------------


def test_level_of_the_log_is_changed_by_a_reload(yaml: Path) -> None:
    """A reload applies the log level of storm.yaml without losing a connection."""
    options = ("--config", str(yaml))
    with Daemon(*NO_SLACK, *options) as daemon, Wire(daemon.address) as peer:
        put(peer)
        yaml.write_text("pacemaker.log.level: debug\n")
        must_reload(daemon)
        with Wire(daemon.address) as check:
            check.ask(path_request(Type.CREATE_PATH, "/", 1))
        daemon.logged(r"\[DEBUG\] .*connected, with CREATE_PATH")
        yaml.write_text("pacemaker.log.level: error\n")
        must_reload(daemon)
        put(peer)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(GIVE_UP_S) == 0
    lines = daemon.stderr.all()
    assert not any("stopped" in line for line in lines)


# --- signals ----------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_signal_upgrades_the_daemon(number: int) -> None:
    """SIGHUP upgrades as well, as administrators expect of a daemon."""
    with Daemon(*NO_SLACK) as daemon, Wire(daemon.address) as peer:
        put(peer)
        daemon.signal(number)
        daemon.logged(UPGRADED)
        assert get(peer) == hit()


def test_hangup_that_was_ignored_stays_ignored() -> None:
    """A SIGHUP ignored by `nohup` stays ignored, also after an upgrade."""
    argv = prepared("signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    with Served(argv) as daemon:
        for _ in range(2):
            daemon.signal(signal.SIGHUP)
            # Signals are handled one after another: no upgrade was begun by then.
            daemon.signal(signal.SIGUSR1)
            daemon.logged("last minute")
            must_reload(daemon)
        upgrades = [line for line in daemon.stderr.all() if "starting a trial" in line]
        assert len(upgrades) == 2


def test_hangup_of_a_closed_terminal_stops_the_daemon() -> None:
    """A SIGHUP stops the daemon only if its terminal was closed."""
    controller, terminal = os.openpty()
    argv = prepared(f"os.setsid(); os.open({os.ttyname(terminal)!r}, os.O_RDWR)")
    with Served(argv) as daemon, Wire(daemon.address) as peer:
        put(peer)
        os.close(terminal)
        daemon.signal(signal.SIGHUP)
        daemon.logged(UPGRADED)
        os.close(controller)
        daemon.logged("SIGHUP: the terminal was closed: stopping")
        assert daemon.wait(GIVE_UP_S) == 0
        assert peer.ended() == "reset"


def test_signals_for_administrators_end_nothing() -> None:
    """SIGUSR1 logs the figures; SIGQUIT logs each thread's stack, as in a JVM."""
    with Daemon(*NO_SLACK) as daemon, Wire(daemon.address) as peer:
        put(peer)
        daemon.signal(signal.SIGUSR1)
        daemon.logged("pulses=1 ")
        daemon.signal(signal.SIGQUIT)
        daemon.logged(r"thread MainThread: .* > serve \(run.py:\d+\) > ")
        daemon.logged(r"thread pacemaker-io-0: ")
        put(peer)


def test_signals_that_were_blocked_or_ignored_are_set_right(yaml: Path) -> None:
    """Trials and stops work, whatever signals the parent blocked or ignored."""
    argv = prepared(
        """
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        """,
        *("--config", str(yaml)),
    )
    with Served(argv) as daemon, Wire(daemon.address) as peer:
        put(peer)
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        (blocked,) = re.findall(r"SigBlk:\s+(\w+)", status)
        assert not int(blocked, 16) & 1 << signal.SIGALRM - 1
        yaml.write_text("pacemaker.max.threads: many\n")
        assert "must be an integer" in refusal(daemon)
        assert get(peer) == hit()
        yaml.write_text("pacemaker.max.threads: 9\n")
        must_reload(daemon)
        assert get(peer) == hit()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(GIVE_UP_S) == 0


def test_children_of_others_are_reaped() -> None:
    """As process 1 of a container, the daemon reaps every orphan."""
    argv = prepared("if not os.fork(): signal.pause(); os._exit(0)")
    with Served(argv) as daemon:
        (stranger,) = children(daemon.pid)
        os.kill(int(stranger), signal.SIGKILL)
        # Beside a child of its own, whose exit code it needs.
        must_reload(daemon)
        must_reload(daemon)
        assert children(daemon.pid) == []


# --- descriptors ------------------------------------------------------------


def test_standard_streams_that_are_closed_are_opened() -> None:
    """Otherwise the listening socket would get such a number, and be lost."""
    argv = prepared("os.close(0); os.close(1)")
    with Served(argv) as daemon, Wire(daemon.address) as peer:
        put(peer)
        for _ in range(2):
            for fd in (0, 1):
                opened = Path(f"/proc/{daemon.pid}/fd/{fd}").readlink()
                assert str(opened) == os.devnull
            must_reload(daemon)
        assert get(peer) == hit()


@pytest.fixture
def _descriptors() -> Iterator[None]:
    """Allow this process as many connections as the test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_descriptors")
def test_upgrade_finds_descriptors_where_connections_have_taken_the_rest() -> None:
    """Some are reserved for it; if none is left anyway, the refusal says so."""
    with Daemon(*NO_SLACK) as daemon, Wire(daemon.address) as peer:
        put(peer)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (64, 64))
        others = [Wire(daemon.address) for _ in range(100)]
        daemon.logged("cannot accept connections: 32 descriptors are in use")
        must_reload(daemon)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (8, 8))
        reason = refusal(daemon)
        assert reason.startswith("the upgrade needs 16 free descriptors: Too many")
        assert get(peer) == hit()
        for other in others:
            other.close()


def test_start_without_descriptors_says_so() -> None:
    """A start without descriptors ends with one line and its own exit code."""
    program = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))"
    done = ended(prepared(program))
    assert done.returncode == 71
    assert "the daemon cannot start: Too many open files; raise" in done.stderr
    assert "Traceback" not in done.stderr


def ended(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=GIVE_UP_S, check=False
    )


PATCHED = """
import threading
def refuse(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
from pacemaker.cli import main
main()
"""


def test_start_without_threads_says_so() -> None:
    """The line is written, although the log has no thread either."""
    done = ended([sys.executable, "-c", PATCHED, "serve", *PLACE])
    assert done.returncode == 71
    assert (
        "Error: cannot start the thread that writes the log: can't start" in done.stderr
    )
    assert "Traceback" not in done.stderr


def try_upgrade(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run an upgrade's trial, which reads a part of a state."""
    state_fd = write_state(SAMPLE)
    try:
        return subprocess.run(
            [sys.executable, *argv, "serve", *PLACE, *trial_arguments(0)],
            stdin=state_fd,
            capture_output=True,
            text=True,
            timeout=GIVE_UP_S,
            check=False,
        )
    finally:
        os.close(state_fd)


def test_trial_does_what_only_a_real_start_does() -> None:
    """The trial prints its proof only after it has started the threads."""
    done = try_upgrade("-m", "pacemaker")
    assert (done.returncode, done.stdout) == (0, f"{proof_of(SAMPLE)}\n"), done.stderr
    assert "0 connections and 1 heartbeat carried over" in done.stderr
    assert "listening on" not in done.stderr
    done = try_upgrade("-c", PATCHED)
    assert (done.returncode, done.stdout) == (71, "")


# --- sockets that were handed over ------------------------------------------

HAND_OVER = """
fds = {}
for fd in fds:
    os.dup2(fd, fd + 100)
for place, fd in enumerate(fds, 3):
    os.dup2(fd + 100, place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
"""


def handed_over(listeners: list[socket.socket], *options: str) -> Served:
    """Start a daemon on the given listening sockets."""
    fds = [each.fileno() for each in listeners]
    argv = prepared(HAND_OVER.format(fds), *options)
    return Served(argv, pass_fds=fds)


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Yield two listening sockets, as of two systemd units."""
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as second,
    ):
        yield [first, second]


def test_every_socket_that_was_handed_over_is_served(
    listeners: list[socket.socket],
) -> None:
    """All of them are served, IPv4 and IPv6, also after upgrades."""
    with handed_over(listeners) as daemon:
        peers = [Wire(each.getsockname()[:2]) for each in listeners]
        for peer in peers:
            put(peer)
        for _ in range(2):
            must_reload(daemon)
            for each, peer in zip(listeners, peers, strict=True):
                assert get(peer) == hit()
                with Wire(each.getsockname()[:2]) as late:
                    assert get(late) == hit()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(GIVE_UP_S) == 0
        for peer in peers:
            assert peer.ended() == "reset"
            peer.close()


def test_connection_that_waited_for_the_daemon_ends_with_a_reset(
    listeners: list[socket.socket],
) -> None:
    """A connection from before the listener had its options is reset as well."""
    peers = [Wire(each.getsockname()[:2]) for each in listeners]
    with handed_over(listeners) as daemon:
        for peer in peers:
            put(peer)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(GIVE_UP_S) == 0
    for peer in peers:
        assert peer.ended() == "reset"
        peer.close()


def test_socket_of_another_port_is_warned_of(
    listeners: list[socket.socket], tmp_path: Path
) -> None:
    """The warning is in the log and in the line that `systemctl status` shows."""
    manager = Manager(str(tmp_path / "notify"))
    argv = prepared(
        HAND_OVER.format([listeners[0].fileno()]), "-c", "pacemaker.port=6700"
    )
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    fds = [listeners[0].fileno()]
    with Served(argv, env=env, pass_fds=fds) as daemon:
        assert "clients connect to pacemaker.port, 6700" in manager.told()["STATUS"]
        # A free-threaded Python warns of its allocator too.
        warnings = [line for line in daemon.stderr.all() if "[WARN]" in line]
        (warning,) = [line for line in warnings if "handed over listens on" in line]
        assert "clients connect to pacemaker.port, 6700" in warning
    manager.socket.close()


# --- what else is not as it should be ---------------------------------------


def test_daemon_whose_working_directory_is_gone_is_upgraded(tmp_path: Path) -> None:
    """The upgrade works even with a JAAS file, which may refer to that directory."""
    jaas = tmp_path / "jaas.conf"
    jaas.write_text('PacemakerDigest { x.Y required username="u" password="p"; };\n')
    jaas.chmod(0o600)
    write_digest_yaml(jaas)
    folder = tmp_path / "gone"
    folder.mkdir()
    yaml = jaas.with_name("storm.yaml")
    argv = [*SERVE, *PLACE, *NO_SLACK, "--config", str(yaml)]
    with Served(argv, cwd=folder) as daemon:
        folder.rmdir()
        must_reload(daemon)
        must_reload(daemon)


def test_first_line_says_who_it_is() -> None:
    """The first line names the version, the process and the interpreter."""
    with Daemon(*NO_SLACK) as daemon:
        who = rf"storm-pacemaker-py {re.escape(__version__)}, process {daemon.pid}, "
        assert any(re.search(who + r"\w+ 3\.\d+", line) for line in daemon.stderr.all())


@pytest.mark.parametrize("command", [["serve", *PLACE], ["config", "--check"]])
def test_interpreter_without_docstrings_is_refused(command: list[str]) -> None:
    """Both `config --check` and `serve` refuse it, and say what to do."""
    done = ended([sys.executable, "-OO", "-m", "pacemaker", *command])
    assert done.returncode == 78
    assert done.stderr.startswith("Error: PYTHONOPTIMIZE=2 (python -OO) removes the")


def in_journal(file: Path, *argv: str) -> subprocess.CompletedProcess[bytes]:
    """Run our program with a file in place of systemd's journal."""
    with file.open("wb") as journal:
        status = os.fstat(journal.fileno())
        env = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        return subprocess.run(
            [sys.executable, "-m", "pacemaker", *argv],
            stdout=subprocess.DEVNULL,
            stderr=journal,
            env=env,
            timeout=GIVE_UP_S,
            check=False,
        )


@pytest.mark.parametrize(
    ("option", "code", "error"),
    [
        ("pacemaker.port=x", 78, b"<3>Error: -c: pacemaker.port: 'x': must be"),
        ("--unknown", 2, b"<3>Error: No such option"),
    ],
)
def test_journal_knows_how_severe_each_line_is(
    tmp_path: Path, option: str, code: int, error: bytes
) -> None:
    """Each line has its severity, including the one that says why a start failed."""
    options = [option] if option.startswith("--") else ["-c", option]
    done = in_journal(tmp_path / "journal", "serve", *options)
    assert done.returncode == code
    lines = (tmp_path / "journal").read_bytes().splitlines()
    assert all(re.match(rb"<[0-7]>", line) for line in lines)
    assert lines[-1].startswith(error)
