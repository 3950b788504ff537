"""The program as a whole: its help, its version, a quick start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from pacemaker import __main__, __version__
from pacemaker.cli.output import exit_codes
from tests.cli.conftest import Run

COMMANDS = (
    "serve",
    "config",
    "completion",
    "ping",
    "ls",
    "get",
    "exists",
    "put",
    "rm",
    "simulate",
    "observe",
    "top",
    "doctor",
)
TIMEOUT_S = 60


def start(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pacemaker", *args],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_version_is_the_packages(run: Run) -> None:
    """--version prints the program's name and version."""
    result = run("--version")
    assert result.stdout == f"storm-pacemaker-py, version {__version__}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command(run: Run, option: str) -> None:
    """The help of the program lists its commands and shows examples."""
    result = run(option)
    assert result.exit_code == exit_codes.OK
    assert "Examples:" in result.stdout
    assert all(f"  {command}  " in result.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_examples(run: Run, command: str) -> None:
    """Each command teaches by examples."""
    result = run(command, "--help")
    assert result.exit_code == exit_codes.OK
    assert "Examples:" in result.stdout


@pytest.mark.io
def test_module_runs_as_the_program_and_starts_light() -> None:
    """`python -m pacemaker --help` loads neither the daemon nor its libraries."""
    script = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        "try: runpy.run_module('pacemaker', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith(("
        "'pacemaker.server', 'pacemaker.client', 'pacemaker.sasl', 'thriftpy2',"
        "'asyncio'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert done.stdout.startswith("Usage: storm-pacemaker-py [OPTIONS] COMMAND")
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_start_leaves_interrupts_as_they_were(
    handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands are interrupted by an exception; what the parent ignores stays so."""
    seen: list[Any] = []
    monkeypatch.setattr(
        "pacemaker.cli.main",
        lambda prog_name: seen.append(signal.getsignal(signal.SIGINT)),
    )
    before = signal.signal(signal.SIGINT, handler)
    try:
        __main__.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [handler]


@pytest.mark.io
def test_closed_pipe_is_no_failure() -> None:
    """`config | head -1` ends without a word of complaint."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pacemaker", "config", "--log-level", "error"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    finally:
        os.close(write_end)
    assert done.stderr == b""
