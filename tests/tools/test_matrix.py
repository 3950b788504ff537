"""Tests of tools/matrix, with small scripts instead of interpreters and pyenv."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.io

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60

# It says its version, makes environments of itself, installs nothing, and passes every
# test except with `--fail`.
PYTHON = """\
#!/bin/bash
case "$1 $2" in
    "-c "*) echo {version} ;;
    "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-m pytest") echo "tests on {version}: ${{*:3}}"; [ "${{*: -1}}" != --fail ] ;;
esac
"""
PYENV = """\
#!/bin/bash
mkdir -p "$PYENV_ROOT/versions/$3.1/bin" && cp "$PYENV_ROOT/python" "$_/python3"
"""


def write_script(path: Path, text: str) -> None:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Clone:
    """A folder with the tool and a .venv of Python 3.11, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pyenv = folder / "pyenv"
        (folder / "tools").mkdir()
        shutil.copy(ROOT / "tools/matrix", folder / "tools/matrix")
        (folder / "setup.cfg").touch()
        write_script(folder / ".venv/bin/python", PYTHON.format(version="3.11"))

    def add_python(self, version: str) -> None:
        """Put an interpreter on the PATH."""
        path = self.folder / "bin" / f"python{version}"
        write_script(path, PYTHON.format(version=version))

    def hide_pythons(self) -> None:
        """Put scripts that fail in front of the interpreters of this machine."""
        for minor in range(10, 15):
            path = self.folder / "bin" / f"python3.{minor}"
            write_script(path, "#!/bin/sh\nexit 1\n")

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run the tool; return its exit code and all its output."""
        done = subprocess.run(
            [self.folder / "tools/matrix", *arguments],
            env={
                "PATH": f"{self.folder}/bin:/usr/bin:/bin",
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "PYENV_ROOT": str(self.pyenv),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a clone on a machine without any Python but that of .venv."""
    clone = Clone(tmp_path)
    clone.hide_pythons()
    return clone


def test_all_pythons_found_are_tested(clone: Clone) -> None:
    """Each version that is found runs the unit tests; the others are named."""
    clone.add_python("3.11")
    clone.add_python("3.13")
    code, output = clone.run("-x")
    assert code == 0
    assert "tests on 3.11: -m not io and not slow -x" in output
    assert "tests on 3.13: -m not io and not slow -x" in output
    assert "not tested: 3.10 3.12 3.14" in output


def test_one_python_is_another_than_that_of_the_environment(clone: Clone) -> None:
    """With ONE=1, the oldest that .venv does not have runs the tests, and no other."""
    for version in ("3.11", "3.12", "3.13"):
        clone.add_python(version)
    code, output = clone.run(ONE="1")
    assert code == 0
    assert output.count("tests on") == 1
    assert "tests on 3.12" in output


def test_failure_on_one_python_fails_the_command(clone: Clone) -> None:
    """A failed test is a failure of the tool, with ONE=1 and without."""
    clone.add_python("3.12")
    code, output = clone.run("--fail")
    assert code == 1
    assert "failed on: 3.12" in output
    assert clone.run("--fail", ONE="1")[0] == 1


def test_pyenv_builds_a_python_if_there_is_no_other(clone: Clone) -> None:
    """With ONE=1 and no second interpreter, pyenv is asked for the oldest one."""
    write_script(clone.pyenv / "python", PYTHON.format(version="3.10"))
    write_script(clone.pyenv / "bin/pyenv", PYENV)
    code, output = clone.run(ONE="1")
    assert code == 0
    assert "tests on 3.10" in output


def test_second_python_that_cannot_be_had_is_said_loudly(clone: Clone) -> None:
    """The tests are skipped with a line that nobody overlooks."""
    code, output = clone.run(ONE="1")
    assert code == 0
    assert "!!! SKIPPED: the unit tests on a second Python" in output


def test_second_python_that_cannot_be_had_is_a_failure_if_required(
    clone: Clone,
) -> None:
    """With REQUIRE_REAL=1 nothing may be skipped; the reason is printed."""
    write_script(clone.pyenv / "bin/pyenv", "#!/bin/sh\necho no compiler\nexit 1\n")
    code, output = clone.run(ONE="1", REQUIRE_REAL="1")
    assert code == 1
    assert "pyenv cannot build Python 3.10: no compiler" in output
    assert "!!! SKIPPED" in output
