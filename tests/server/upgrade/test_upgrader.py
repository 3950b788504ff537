"""An upgrade that fails before `execve`: the daemon keeps serving and says why."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence

import pytest

from pacemaker.config import Settings
from pacemaker.sasl.secret import Secret
from pacemaker.server import Daemon, ServerOptions
from pacemaker.server.process import memory
from pacemaker.server.process.flood import FloodFilter
from pacemaker.server.process.local_socket import address_of
from pacemaker.server.process.log_writer import LogWriter
from pacemaker.server.process.notify import Notifier
from pacemaker.server.upgrade import execute, upgrader
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.trial import Trial
from pacemaker.server.upgrade.upgrader import Upgrader
from pacemaker.server.upgrade.waiters import Waiters
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io

GIVE_UP_S = 60.0
SAY_THE_WORD = """
import sys
from pacemaker.server.upgrade.trial import read_sample, proof_of
print(proof_of(read_sample(sys.argv[-1])))
"""
PYTHON = sys.executable


class ToldWaiters(Waiters):
    """Keeps the outcomes that waiting clients would receive."""

    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[str] = []

    def tell(self, outcome: str) -> None:
        """Keep the outcome."""
        self.told.append(outcome)


class Endpoint:
    """A fake admin endpoint that counts refused upgrades."""

    upgrades = 0
    listener_fd = -1
    refused = 0

    def note_refused_upgrade(self) -> None:
        """Count it."""
        self.refused += 1


class Case:
    """A daemon in this process, a peer of it, and an upgrader."""

    def __init__(self, log: LogWriter) -> None:
        options = ServerOptions(bind="127.0.0.1", io_threads=2)
        self.daemon = Daemon(Settings(port=0), options)
        self.daemon.start()
        host, _, port = self.daemon.address.rpartition(":")
        self.peers = [Wire((host, int(port))) for _ in range(4)]
        self.waiters = ToldWaiters()
        self.endpoint = Endpoint()
        self.log = log
        self.upgrader = self.new_upgrader(self.waiters)

    def new_upgrader(self, waiters: Waiters) -> Upgrader:
        """Return an upgrader that tells these clients."""
        return Upgrader(
            *(self.daemon, Secret(""), 0, waiters, Notifier({})),
            *(self.endpoint, self.log),
        )

    def upgrade(self) -> str:
        """Run an upgrade, and return why it was refused."""
        self.upgrader.begin()
        while self.upgrader.is_trying:
            signal.sigtimedwait({signal.SIGCHLD}, GIVE_UP_S)
            self.upgrader.check()
        (told,) = self.waiters.told
        self.waiters.told.clear()
        return told.removeprefix("refused: ")

    def check_serves(self) -> None:
        """Check that every connection is answered as before."""
        for number, peer in enumerate(self.peers):
            reply = peer.ask(wire.send_pulse(f"/w/{number}", b"beat", number))
            assert reply == wire.ack(Type.SEND_PULSE_RESPONSE, number)

    def close(self) -> None:
        """Stop the daemon."""
        self.upgrader.close()
        for peer in self.peers:
            peer.close()
        self.daemon.begin_stop()
        self.daemon.close()


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """Yield a daemon whose trials all succeed."""
    command = Command(PYTHON, (PYTHON, "-c", SAY_THE_WORD))
    monkeypatch.setattr(upgrader, "own_command", lambda: command)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    with LogWriter(FloodFilter()) as log:
        case = Case(log)
        case.check_serves()
        yield case
        case.check_serves()
        case.close()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _descriptors() -> dict[int, bool]:
    """Return each descriptor of this process, and whether it is inheritable."""
    found: dict[int, bool] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (Path opens one more)
        with contextlib.suppress(OSError):  # the one that lists them
            found[int(name)] = os.get_inheritable(int(name))
    return found


def _execve(monkeypatch: pytest.MonkeyPatch, code: int) -> list[dict[str, str]]:
    """Make `execve` fail, and keep its arguments."""
    given: list[dict[str, str]] = []

    def fail(path: str, argv: Sequence[str], environ: dict[str, str]) -> None:
        given.append(environ)
        assert os.get_inheritable(3)
        pid, _, fd = environ[execute.STATE_VARIABLE].partition(":")
        assert (pid, environ["LISTEN_PID"]) == (str(os.getpid()),) * 2
        assert os.get_inheritable(int(fd))
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "execve", fail)
    return given


def test_daemon_serves_on_where_execve_fails(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every descriptor is as before, and an upgrade can be tried again."""
    given = _execve(monkeypatch, errno.ENOENT)
    before = _descriptors()
    for times in (1, 2):
        reason = case.upgrade()
        assert reason == "the state cannot be handed over: No such file or directory"
        assert len(given) == times
        case.check_serves()
    assert _descriptors() == before


def test_daemon_serves_on_where_a_thread_does_not_come_to_rest(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that stays busy pauses the others only until the deadline."""
    monkeypatch.setattr(upgrader, "PARK_TIMEOUT_S", 0.05)
    given = _execve(monkeypatch, errno.ENOENT)
    is_free, is_busy = threading.Event(), threading.Event()

    def be_busy() -> None:
        is_busy.set()
        is_free.wait(GIVE_UP_S)

    case.daemon.threads[0].call(be_busy)
    assert is_busy.wait(GIVE_UP_S)
    assert case.upgrade() == "the threads could not be paused in time"
    assert given == []
    is_free.set()


def test_daemon_serves_on_where_memory_is_short(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade that would exceed a limit is refused: the kernel would kill it."""
    monkeypatch.setattr(memory, "free_bytes", lambda: 3 * 2**20)
    reason = case.upgrade()
    assert reason.startswith("not enough memory: the upgrade needs 64 MiB")
    assert reason.endswith(", 3 MiB are free")


def test_upgrade_goes_on_where_free_memory_is_unknown(
    case: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Unknown free memory is logged, and not a reason to refuse."""
    given = _execve(monkeypatch, errno.ENOENT)
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    case.upgrade()
    assert len(given) == 1
    assert "cannot find out how much memory is free; continuing" in caplog.text


def test_daemon_serves_on_where_descriptors_are_short(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process could not start without them; the reason says what to do."""
    monkeypatch.setattr(upgrader, "_NEEDED_FDS", 10**9)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    reason = case.upgrade()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert reason.startswith("the upgrade needs 1000000000 free descriptors: Too")
    assert "LimitNOFILE=" in reason


@pytest.mark.parametrize("where", ["begin", "turn"])
def test_daemon_survives_an_error_before_the_state_is_written(
    case: Case, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A bug in starting or watching a trial is a refusal, too."""

    def fail(*args: object) -> None:
        raise RuntimeError("ours")

    if where == "begin":
        monkeypatch.setattr(upgrader, "trial_arguments", fail)
    else:
        monkeypatch.setattr(Trial, "_judge", fail)
    assert case.upgrade() == "an unexpected error; the daemon's log has the traceback"
    assert not case.upgrader.is_trying


def test_daemon_serves_on_where_the_trial_is_of_another_program(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other program exits with 0, but does not print the proof."""
    other = Command(PYTHON, (PYTHON, "-c", ""))
    monkeypatch.setattr(upgrader, "own_command", lambda: other)
    case.upgrader = case.new_upgrader(case.waiters)
    assert "exit code 0, but did not start a daemon" in case.upgrade()


def test_daemon_serves_on_where_the_log_stands_still(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process would block on its first lines, and never serve."""
    given = _execve(monkeypatch, errno.ENOENT)
    with monkeypatch.context() as blocked:
        blocked.setattr(LogWriter, "flush", lambda self: False)
        assert case.upgrade().startswith("the log is blocked")
    assert given == []


def test_daemon_serves_on_where_the_trial_cannot_be_started(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upgrade is refused if the program is gone from the disk."""
    gone = Command("/no/such/python", ("python",))
    monkeypatch.setattr(upgrader, "own_command", lambda: gone)
    case.upgrader = case.new_upgrader(case.waiters)
    reason = case.upgrade()
    assert reason == (
        "the new version cannot be started: No such file or directory (/no/such/python)"
    )


def test_daemon_survives_an_error_of_ours(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in writing the state costs the upgrade, not the daemon."""

    def fail(state: object) -> int:
        raise RuntimeError("ours")

    monkeypatch.setattr(upgrader, "write_state", fail)
    assert case.upgrade() == "an unexpected error; the daemon's log has the traceback"


def test_log_is_written_to_its_end_first(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that was logged before `execve` is written before it."""
    lines: list[str] = []
    is_slow = threading.Event()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            is_slow.wait(0.2)
            lines.append(record.getMessage())

    written: list[int] = []

    def fail(path: str, argv: Sequence[str], environ: dict[str, str]) -> None:
        written.append(len(lines))
        raise OSError(errno.ENOENT, "as asked for")

    monkeypatch.setattr(os, "execve", fail)
    case.log.handlers += (Slow(),)
    logging.getLogger("test").warning("the last line")
    case.upgrade()
    is_slow.set()
    assert "the last line" in lines[: written[0]]


def test_who_connects_makes_room_for_who_asks(case: Case) -> None:
    """Connections without a request cannot fill the queue forever."""
    waiters = Waiters.open()
    other = case.new_upgrader(waiters)
    with contextlib.ExitStack() as connections:

        def connect() -> int:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connections.enter_context(sock).setblocking(False)
            return sock.connect_ex(address_of(os.getpid()))

        while not (code := connect()):
            pass
        assert code == errno.EAGAIN
        other.check()
        assert connect() == 0
    waiters.close("over")
