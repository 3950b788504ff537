"""The trial, with child processes that the test scripts."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pacemaker.errors import UpgradeError
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.state_format import FORMAT
from pacemaker.server.upgrade.trial import (
    Trial,
    check_upgrade,
    read_sample,
    trial_arguments,
)
from tests.server.upgrade.test_state_format import SMALL

GIVE_UP_S = 60.0
PAUSE = "import signal; signal.pause()"
SAMPLE = SMALL._replace(connections=[], request_fd=-1, waiter_fds=())
READ = (
    "from pacemaker.server.upgrade.trial import read_sample, proof_of;"
    " proof = proof_of(read_sample('1:6699:0'))"
)


def _child(program: str) -> Command:
    argv = (sys.executable, "-c", textwrap.dedent(program))
    return Command(sys.executable, argv)


@contextmanager
def _told_of_children() -> Iterator[None]:
    """Block the signal of a child that has ended, as the daemon does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        yield
    finally:
        while signal.sigtimedwait({signal.SIGCHLD}, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outcome(program: str) -> str:
    """Run a trial to its end."""
    with _told_of_children():
        trial = Trial(_child(program), SAMPLE, timeout_s=GIVE_UP_S)
        while (outcome := trial.outcome()) is None:
            signal.sigtimedwait({signal.SIGCHLD}, GIVE_UP_S)
        return outcome


@pytest.mark.io
def test_trial_that_prints_the_proof_has_no_reason() -> None:
    """A program that prints the proof and exits with 0 passes the trial."""
    assert _outcome(f"{READ}; print(proof)") == ""


@pytest.mark.io
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(0)", ""),
        ("print('hello')", ": hello"),
        ("import sys; print(len(sys.stdin.buffer.read()))", r": \d+"),
        (f"{READ}; print(proof[:-1])", ": [0-9a-f]{63}"),
        ("print('Error: none')", ": Error: none"),
    ],
    ids=["silent", "other", "reader", "part", "error"],
)
def test_trial_that_only_exits_with_0_is_not_believed(program: str, said: str) -> None:
    """Another program may exit with 0, and so does any child if SIGCHLD is ignored."""
    reason = "the trial of the new version ended with exit code 0, but did not start a"
    reason += f" daemon: check {sys.executable}"
    assert re.fullmatch(re.escape(reason) + said, _outcome(program))


@pytest.mark.io
def test_trial_that_prints_the_proof_and_fails_is_not_believed() -> None:
    """A failure after the proof counts."""
    reason = _outcome(f"{READ}; print(proof); raise SystemExit(3)")
    assert reason.startswith("the trial of the new version ended with exit code 3")


def test_trial_says_where_the_sandbox_forbids_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system call that a seccomp filter refuses is named."""

    def refuse(name: str, flags: int) -> int:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(UpgradeError, match=r"memfd_create is refused .* restart"):
        Trial(_child(PAUSE), SAMPLE)


@pytest.mark.io
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            """
            import sys
            print("WARNING of something", file=sys.stderr)
            print("Error: storm.yaml: no such port", file=sys.stderr)
            raise SystemExit(78)
            """,
            "storm.yaml: no such port",
        ),
        (
            "raise ImportError('no module')",
            "the trial of the new version ended with exit code 1: ImportError: no"
            " module",
        ),
        ("raise SystemExit(3)", "the trial of the new version ended with exit code 3"),
        (
            "import os; os.kill(os.getpid(), 9)",
            "the trial of the new version ended with SIGKILL",
        ),
        (
            "import sys; sys.stderr.write('x' * 10**6 + '\\nError: last\\n'); exit(1)",
            "last",
        ),
    ],
    ids=["error", "traceback", "silent", "killed", "talkative"],
)
def test_trial_that_fails_says_why(program: str, reason: str) -> None:
    """The reason is the child's last error, or how it ended."""
    assert _outcome(program) == reason


@pytest.mark.io
def test_trial_that_takes_too_long_is_ended() -> None:
    """After the timeout the child is killed and reaped, and the reason says so."""
    children = os.listdir("/proc/self/fd")  # noqa: PTH208  (Path opens one more)
    trial = Trial(_child(PAUSE), SAMPLE, timeout_s=0.0)
    pid = trial.pid
    assert "longer than 0 s" in (trial.outcome() or "")
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    assert os.listdir("/proc/self/fd") == children  # noqa: PTH208


@pytest.mark.io
def test_trial_that_is_ended_is_reaped() -> None:
    """A stop of the daemon kills and reaps the child."""
    trial = Trial(_child(PAUSE), SAMPLE)
    assert trial.outcome() is None
    trial.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(trial.pid, 0)


@pytest.mark.io
def test_trial_that_cannot_be_started_is_an_error() -> None:
    """If the program is gone, the trial fails and leaves nothing behind."""
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  (Path opens one more)
    with pytest.raises(FileNotFoundError):
        Trial(Command("/no/such/python", ("python",)), SAMPLE)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


@pytest.mark.io
def test_trial_has_neither_port_nor_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child inherits neither the listeners nor systemd's socket."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("STORM_CONF_DIR", "/kept")
    fd = os.memfd_create("inheritable", 0)
    program = """
        import os, sys
        names = sorted(n for n in os.environ if n.startswith(("NOT", "WAT", "LIS")))
        fds = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
        # The one that lists them is among them.
        print("Error:", names, len(fds), os.environ["STORM_CONF_DIR"], file=sys.stderr)
        raise SystemExit(1)
        """
    assert _outcome(program) == "[] 1 /kept"
    os.close(fd)


def test_child_takes_the_arguments_of_its_own_version() -> None:
    """A daemon of this version can become one of this version, on the same port."""
    check_upgrade(trial_arguments(6699)[1], 6699)
    check_upgrade(trial_arguments(0)[1], 0)
    # A socket that was handed over goes before any port.
    check_upgrade(trial_arguments(None)[1], 6699)


def test_child_refuses_another_port() -> None:
    """The port is kept in an upgrade; the error says that a new one needs a restart."""
    with pytest.raises(UpgradeError, match=r"from 6699 to 6700.* restart"):
        check_upgrade(trial_arguments(6699)[1], 6700)


@pytest.mark.parametrize("wanted", [f"{FORMAT + 1}:6699", "", "x"])
def test_child_refuses_a_format_that_it_does_not_read(wanted: str) -> None:
    """A format that is too new, or malformed, is refused."""
    with pytest.raises(UpgradeError, match=r"does not support .* restart"):
        check_upgrade(wanted, 6699)


def test_child_of_an_early_daemon_is_given_no_state() -> None:
    """An early daemon passes no state, and judges by the exit code only."""
    assert read_sample(f"{FORMAT}:6699") is None
    check_upgrade(f"{FORMAT}:6699", 6699)


@pytest.mark.parametrize("fd", ["9999", "x", ""])
def test_child_refuses_a_state_that_it_cannot_read(fd: str) -> None:
    """This includes an empty descriptor, and none at all."""
    with pytest.raises(UpgradeError, match="cannot read a sample of the state"):
        read_sample(f"{FORMAT}:6699:{fd}")
