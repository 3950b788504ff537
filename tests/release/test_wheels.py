"""Which environments the wheel is tried in, and what counts as working."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from pacemaker import __version__
from release import wheels
from release.dist import ReleaseError
from tests.release.conftest import ROOT


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_every_extra_is_tried() -> None:
    """All extras for users, and the wheel without any."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = set(config["options.extras_require"]) - {"dev"}
    assert set(wheels.EXTRAS) == {"", *extras}


@pytest.mark.io
def test_pythons_are_those_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shim that cannot run is passed over for pyenv's own of that release."""
    _program(tmp_path / "bin" / "python3.10", "exit 127")
    own = _program(
        tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python3",
        "echo Python 3.10.13",
    )
    other = _program(tmp_path / "bin" / "python3.14", "echo Python 3.14.0")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(wheels, "MINORS", (10, 14))
    assert dict(wheels.pythons()) == {"3.10": own, "3.14": other}


@pytest.mark.io
def test_a_program_of_another_version_is_an_error(tmp_path: Path) -> None:
    """What was installed is what is tried, and not an older copy on the PATH."""
    program = _program(tmp_path / wheels.PROGRAM, "echo 0.0.1")
    with pytest.raises(ReleaseError, match=rf"0\.0\.1.*not {__version__}"):
        wheels.expect_program(program)


@pytest.mark.io
def test_a_program_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    """The version alone loads little; the check of the configuration loads the rest."""
    script = f'[ "$1" = --version ] || exit 70\necho {__version__}'
    program = _program(tmp_path / wheels.PROGRAM, script)
    with pytest.raises(ReleaseError, match="config --check failed"):
        wheels.expect_program(program)
