"""The command `completion`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes

TIMEOUT_S = 60

pytestmark = pytest.mark.io


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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(shell: str) -> None:
    """The script asks the program through the variable that click listens to."""
    done = start("completion", shell)
    assert done.returncode == exit_codes.OK
    assert "_STORM_PACEMAKER_PY_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("storm-pacemaker-py s", "serve simulate status"),
        ("storm-pacemaker-py simulate --sup", "--supervisors"),
        ("storm-pacemaker-py serve --store", "--store-budget"),
        ("storm-pacemaker-py serve --log-level w", "warning"),
    ],
)
def test_bash_completes_words(tmp_path: Path, words: str, completed: str) -> None:
    """A bash that has read the script completes commands, options and values."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    program = tmp_path / "storm-pacemaker-py"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pacemaker "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(storm-pacemaker-py completion bash)"\n'
        f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        '_storm_pacemaker_py_completion storm-pacemaker-py; echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.stdout == f"{completed}\n", done.stderr
