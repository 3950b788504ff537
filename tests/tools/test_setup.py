"""Tests of tools/setup: what it says when it cannot continue."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.io

ROOT = Path(__file__).parents[2]

OLD_PYTHON = """#!/bin/sh
case $2 in
    *print*) echo 3.9.2 ;;
    *) exit 1 ;;
esac
"""

PIP = """#!/bin/sh
case $* in
    *--version*) exit 0 ;;
esac
echo Obtaining file:///srv/storm-pacemaker-py
for _ in 1 2 3 4 5; do echo "WARNING: Retrying"; done
echo "{said}" >&2
echo "ERROR: Failed to build" >&2
exit 1
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a clone with what tools/setup reads."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup", tmp_path / "tools")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def write_program(path: Path, text: str) -> Path:
    """Write a program that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def set_up(
    clone: Path, mode: str, python: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run tools/setup with a certain Python; its files go below the clone."""
    return subprocess.run(
        [clone / "tools" / "setup", mode],
        env={**os.environ, "PYTHON": str(python), "TMPDIR": str(clone)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("mode", ["run", "test", "packages"])
def test_old_python_is_told_before_anything_is_installed(
    clone: Path, mode: str
) -> None:
    """The error names what is needed, what is there, and what to do."""
    old = write_program(clone / "python3.9", OLD_PYTHON)
    done = set_up(clone, mode, old)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"Python 3.10 or later is needed, {old} is 3.9.2; nothing was" in line
    assert "PYTHON=/path/to/python3.12" in line
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Failed to establish: [Errno -3] name resolution", "cannot be reached"),
        ("ssl: CERTIFICATE_VERIFY_FAILED", "certificate is not trusted"),
        ("[Errno 13] Permission denied: 'build/lib'", "another user has installed"),
        ("what nobody has seen before", "ERROR: Failed to build"),
    ],
    ids=["network", "certificate", "owner", "other"],
)
def test_failed_pip_ends_in_one_line(clone: Path, said: str, why: str) -> None:
    """The line says why, and where the whole output is."""
    write_program(clone / ".venv" / "bin" / "python", PIP.replace("{said}", said))
    done = set_up(clone, "run", sys.executable)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert why in line
    log = Path(line.rpartition("output: ")[2].rstrip(")"))
    assert said in log.read_text()
    assert not (clone / ".venv" / "set-up").exists()


def test_unknown_mode_is_refused(clone: Path) -> None:
    """The error names the modes."""
    done = set_up(clone, "all", sys.executable)
    assert done.returncode == 1
    assert done.stderr == "tools/setup: run, test or packages, not all\n"
