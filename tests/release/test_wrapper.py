"""The command `storm` that stands in for Storm's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.release.conftest import ROOT

pytestmark = pytest.mark.io

WRAPPER = ROOT / "deploy" / "storm-pacemaker"


def _program(folder: Path, name: str) -> Path:
    """Write a program that says how it was called."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "{name}: $*"\necho "PATH=$PATH"\n')
    program.chmod(0o755)
    return program


def _run(path: list[Path], *args: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.pathsep.join([str(WRAPPER), *map(str, path), os.defpath])}
    return subprocess.run(
        [WRAPPER / "storm", *args],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_pacemaker_is_ours_and_all_else_is_storms(tmp_path: Path) -> None:
    """Arguments are handed on as they are, blanks included."""
    _program(tmp_path / "ours", "storm-pacemaker-py")
    _program(tmp_path / "storm" / "bin", "storm")
    path = [tmp_path / "ours", tmp_path / "storm" / "bin"]
    ours = _run(path, "pacemaker", "-c", "pacemaker.port=7000")
    assert ours.stdout.startswith("storm-pacemaker-py: serve -c pacemaker.port=7000\n")
    assert _run(path, "nimbus", "a b").stdout.startswith("storm: nimbus a b\n")


@pytest.mark.parametrize(
    ("args", "ours"),
    [
        ("pacemaker", "serve"),
        ("pacemaker -c a=1 --config x.yaml", "serve -c a=1 --config x.yaml"),
        ("-c a=1 pacemaker", "serve -c a=1"),
        (
            "--config x.yaml -c a=1 pacemaker -c b=2",
            "serve --config x.yaml -c a=1 -c b=2",
        ),
        ("-c pacemaker pacemaker", "serve -c pacemaker"),
    ],
)
def test_options_may_come_before_the_command(
    tmp_path: Path, args: str, ours: str
) -> None:
    """As Storm 1.x allows; their order stays the same."""
    _program(tmp_path / "ours", "storm-pacemaker-py")
    ran = _run([tmp_path / "ours"], *args.split())
    assert ran.stdout.startswith(f"storm-pacemaker-py: {ours}\n")


@pytest.mark.parametrize(
    "args", ["-c pacemaker", "-c a=1 nimbus", "-c", "list pacemaker"]
)
def test_other_commands_with_options_are_storms(tmp_path: Path, args: str) -> None:
    """The value of an option is no command."""
    _program(tmp_path / "storm" / "bin", "storm")
    ran = _run([tmp_path / "storm" / "bin"], *args.split())
    assert ran.stdout.startswith(f"storm: {args}\n")


def test_the_conf_folder_is_that_of_storms_own_command(tmp_path: Path) -> None:
    """`serve` looks beside the first `storm` on the PATH, and must not find us."""
    _program(tmp_path / "ours", "storm-pacemaker-py")
    _program(tmp_path / "storm" / "bin", "storm")
    ran = _run([tmp_path / "ours", tmp_path / "storm" / "bin"], "pacemaker")
    assert f"PATH={tmp_path}/storm/bin:" in ran.stdout


def test_without_storm_other_commands_say_so(tmp_path: Path) -> None:
    """The wrapper does not call itself without end."""
    ran = _run([], "nimbus")
    assert ran.returncode == 127
    assert "Storm's own command is not on the PATH" in ran.stderr
