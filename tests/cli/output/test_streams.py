"""Commands whose standard streams are closed or full, or that are interrupted."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

TIMEOUT_S = 60
FULL = "No space left on device"
# In /dev/full nothing can be written; a closed stream is one nobody wants.
PRINTS = ["ls -l /w", "get --json /w/1", "config", "completion bash"]
PRINTS += ["--help", "ls --help"]
ANSWERS = ["exists /w/1", "ping", "config --check"]
SILENT = ["put /w/2", "rm /w/2"]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerAddress]:
    """Start a daemon that stores two heartbeats."""
    with daemon() as address, PacemakerConnection(address, timeout_s=30) as connection:
        for path in ("/w/1", "/w/3"):
            connection.request(requests.send_pulse(path, b"x"))
        yield address


@pytest.fixture
def environ(tmp_path: Path, server: ServerAddress) -> dict[str, str]:
    """Name the daemon in storm.yaml."""
    (tmp_path / "storm.yaml").write_text(f'pacemaker.servers: ["{server}"]\n')
    return {**os.environ, "STORM_CONF_DIR": str(tmp_path)}


def shell(
    command: str, environ: dict[str, str], redirections: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours with the redirections of a shell."""
    program = f"{shlex.quote(sys.executable)} -m pacemaker {command}"
    return subprocess.run(
        ["bash", "-c", f"{program} {redirections}; exit ${{PIPESTATUS[0]}}"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("command", [*PRINTS, *ANSWERS, *SILENT])
def test_closed_streams_change_nothing(command: str, environ: dict[str, str]) -> None:
    """Who closes a stream does not want what it carries: the work is done."""
    stdin = "" if command.startswith("put") else "<&-"
    done = shell(command, environ, f"{stdin} >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (exit_codes.OK, "", "")


@pytest.mark.parametrize("command", PRINTS)
def test_lost_output_is_an_error(command: str, environ: dict[str, str]) -> None:
    """A command that is to print says in one line that it could not."""
    done = shell(command, environ, ">/dev/full")
    assert done.returncode == exit_codes.OUTPUT_LOST
    lines = done.stderr.splitlines()
    assert lines[-1] == f"Error: the output could not be written: {FULL}"
    assert "Traceback" not in done.stderr


def test_lost_output_and_lost_error_leave_the_exit_code(
    environ: dict[str, str],
) -> None:
    """Where nothing can be written the exit code still tells."""
    done = shell("ls /w", environ, "&>/dev/full")
    assert done.returncode == exit_codes.OUTPUT_LOST


@pytest.mark.parametrize("command", [*ANSWERS, *SILENT])
def test_exit_code_outlives_the_output(command: str, environ: dict[str, str]) -> None:
    """A command whose exit code is its answer keeps that, and warns."""
    done = shell(command, environ, ">/dev/full")
    assert done.returncode == exit_codes.OK
    assert (FULL in done.stderr) is (command in ANSWERS)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["ls /none", "config"])
def test_full_stderr_changes_nothing(command: str, environ: dict[str, str]) -> None:
    """Notes and the log that cannot be written are not the command's work."""
    assert shell(command, environ, "2>/dev/full").returncode == exit_codes.OK


def test_error_that_cannot_be_written_keeps_its_exit_code(
    environ: dict[str, str],
) -> None:
    """The exit code is then the one thing that tells."""
    done = shell("get /none", environ, "2>/dev/full")
    assert done.returncode == exit_codes.NO
    dead = shell("ping --server 127.0.0.1:1", environ, "2>/dev/full")
    assert dead.returncode == exit_codes.NO_ANSWER


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("ls", exit_codes.PIPE_CLOSED),
        ("ls --help", exit_codes.PIPE_CLOSED),
        ("ping", exit_codes.OK),
    ],
)
def test_closed_pipe_is_no_complaint(
    command: str, code: int, environ: dict[str, str]
) -> None:
    """Whoever reads the output may stop at any time: nothing is said about it."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pacemaker", *command.split()],
            env=environ,
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (code, b"")


def test_put_does_not_store_a_closed_stdin(environ: dict[str, str]) -> None:
    """A stream that is closed is not an empty value."""
    done = shell("put /w/1", environ, "<&-")
    assert done.returncode == exit_codes.USAGE
    assert "stdin cannot be read: Bad file descriptor" in done.stderr
    assert shell("get --json /w/1", environ, "").stdout.count('"size_bytes": 1') == 1


def test_rm_does_not_take_a_closed_stdin_for_a_yes(environ: dict[str, str]) -> None:
    """Where nobody can be asked nothing is deleted, and the way out is named."""
    done = shell("rm /w", environ, "<&-")
    assert done.returncode == exit_codes.USAGE
    assert "Use --yes to skip the question" in done.stderr
    assert shell("exists /w/1", environ, "").returncode == exit_codes.OK


@pytest.mark.parametrize("command", ["ping", "rm /w"])
def test_interrupt_ends_a_command_without_a_traceback(command: str) -> None:
    """Ctrl-C while a server keeps us waiting is exit code 130 and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to_server = ["--server", f"127.0.0.1:{listener.getsockname()[1]}"]
        with subprocess.Popen(
            [sys.executable, "-m", "pacemaker", *command.split(), *to_server],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            listener.settimeout(TIMEOUT_S)
            peer, _ = listener.accept()
            with peer:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == exit_codes.INTERRUPTED
    assert (out, err.strip()) == ("", "")


def test_interrupt_at_a_question_is_an_interrupt(environ: dict[str, str]) -> None:
    """Ctrl-C where `rm` asks is not a no."""
    with subprocess.Popen(
        [sys.executable, "-m", "pacemaker", "rm", "/w"],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        asked = b""
        while not asked.endswith(b"[y/N]: "):
            asked += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == exit_codes.INTERRUPTED
