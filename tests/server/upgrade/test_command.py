"""How a process was started: the words of its command line, links unresolved."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path

import pytest

from pacemaker.server.upgrade.command import Command, own_command


@pytest.fixture
def script(tmp_path: Path) -> str:
    """Return a link to a script, as a package manager may install one."""
    target = tmp_path / "v1"
    target.write_text("#!/usr/bin/env python3\n")
    target.chmod(0o755)
    link = tmp_path / "storm-pacemaker-py"
    link.symlink_to(target)
    return str(link)


def test_script_is_started_as_a_script(script: str) -> None:
    """Its first line may name another interpreter in the next version."""
    argv = [script, "serve", "-c", "pacemaker.port=0"]
    command = own_command(argv, ["/v1/bin/python", *argv])
    assert command == Command(script, tuple(argv))


def test_interpreter_with_options_is_started_as_it_was(script: str) -> None:
    """The interpreter's options are kept."""
    argv = [script, "serve"]
    orig_argv = ["/venv/bin/python", "-X", "dev", *argv]
    command = own_command(argv, orig_argv)
    assert command == Command("/venv/bin/python", tuple(orig_argv))


def test_module_is_started_as_a_module() -> None:
    """With -m, sys.argv begins with a file that was not on the command line."""
    argv = ["/lib/pacemaker/__main__.py", "serve"]
    orig_argv = ["/venv/bin/python", "-m", "pacemaker", "serve"]
    assert own_command(argv, orig_argv) == Command("/venv/bin/python", tuple(orig_argv))


def test_file_that_is_no_script_is_started_by_its_interpreter(tmp_path: Path) -> None:
    """A file that cannot be executed itself is started by the same interpreter."""
    file = tmp_path / "main.py"
    file.write_text("print()\n")
    for mode in (0o644, 0o755):
        file.chmod(mode)
        argv = [str(file), "serve"]
        assert own_command(argv, ["/bin/python", *argv]).path == "/bin/python"


def test_interpreter_without_a_path_is_looked_up() -> None:
    """The interpreter is found on the PATH, and keeps its name."""
    argv = ["/lib/pacemaker/__main__.py"]
    command = own_command(argv, ["sh", "-m", "pacemaker"])
    assert command == Command(str(shutil.which("sh")), ("sh", "-m", "pacemaker"))
    command = own_command(argv, ["no-such-python", "-m", "pacemaker"])
    assert command.path == sys.executable


def test_command_takes_more_arguments() -> None:
    """Further arguments are added at the end."""
    command = Command("/bin/x", ("x", "serve")).with_arguments("--try", "1")
    assert command == Command("/bin/x", ("x", "serve", "--try", "1"))


def test_script_that_may_not_be_read_is_started_by_its_interpreter(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be executable but not readable; faked, since root can read all."""

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    argv = [script, "serve"]
    assert own_command(argv, ["/bin/python", *argv]).path == "/bin/python"
