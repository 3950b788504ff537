"""`reload`: which process it asks, and its output and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.errors import UpgradeError
from pacemaker.server.upgrade import request
from tests.cli.conftest import Run


class Asked:
    """Stands in for the daemon that is asked."""

    def __init__(self) -> None:
        self.refuses_with: str | None = None
        self.asked: list[tuple[int, float]] = []

    def request_upgrade(self, pid: int, timeout_s: float) -> None:
        """Take the place of `request_upgrade`."""
        self.asked.append((pid, timeout_s))
        if self.refuses_with is not None:
            raise UpgradeError(self.refuses_with)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Put a stand-in in the place of the daemon."""
    asked = Asked()
    monkeypatch.setattr(request, "request_upgrade", asked.request_upgrade)
    return asked


def test_reload_asks_the_process_that_is_named(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    """By its process id, or by a file that has it."""
    result = run("reload", "4711", "--timeout", "5")
    assert (result.exit_code, result.stderr) == (exit_codes.OK, "")
    assert result.stdout == "process 4711 was upgraded and serves\n"
    file = tmp_path / "pid"
    file.write_text("4712\n")
    assert run("reload", "--pid-file", str(file)).exit_code == exit_codes.OK
    assert asked.asked == [(4711, 5.0), (4712, 60.0)]


def test_reload_says_why_it_was_refused(run: Run, asked: Asked) -> None:
    """The reason on stderr, and the exit code that says no."""
    asked.refuses_with = "refused: the port\x1b[0m is another"
    result = run("reload", "4711")
    assert result.exit_code == exit_codes.NO
    assert result.stderr == "Error: refused: the port\\x1b[0m is another\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["0"],
        ["-1"],
        ["daemon"],
        ["1", "--pid-file", "x"],
        ["--pid-file", "/no/such/file"],
        ["--pid-file", "."],
        ["1", "--timeout", "0"],
    ],
    ids=" ".join,
)
def test_reload_refuses_a_wrong_command_line(
    run: Run, asked: Asked, arguments: list[str]
) -> None:
    """Which process is meant must be clear; nobody is asked otherwise."""
    assert run("reload", *arguments).exit_code == exit_codes.USAGE
    assert asked.asked == []


@pytest.mark.parametrize("content", ["", "x", "1 2", "-4", "0", "٣"])
def test_reload_refuses_a_file_without_a_process_id(
    run: Run, asked: Asked, tmp_path: Path, content: str
) -> None:
    """A file with anything else in it is named."""
    file = tmp_path / "pid"
    file.write_text(content)
    result = run("reload", "--pid-file", str(file))
    assert result.exit_code == exit_codes.USAGE
    assert f"{file}: must contain a process id" in result.stderr
    assert asked.asked == []
