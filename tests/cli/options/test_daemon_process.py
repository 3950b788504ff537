"""Which daemon of this host a command means."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from pacemaker.cli.options.daemon_process import chosen_daemon, read_pid
from pacemaker.errors import StatusError
from pacemaker.server.process import local_socket


def serving(monkeypatch: pytest.MonkeyPatch, *pids: int) -> None:
    """Let these daemons serve on this host."""
    monkeypatch.setattr(local_socket, "running_daemons", lambda _: list(pids))


def test_pid_file_has_a_process_id_and_nothing_else(tmp_path: Path) -> None:
    """A newline at its end is usual."""
    file = tmp_path / "pid"
    file.write_text("4711\n")
    assert read_pid(file) == 4711


@pytest.mark.parametrize(
    "content", [b"", b"0", b"-5", b"4711 4712", b"pid", "\u0665".encode(), b"\xff"]
)
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    """The error names the file."""
    file = tmp_path / "pid"
    file.write_bytes(content)
    with pytest.raises(click.BadParameter, match=str(file)):
        read_pid(file)


def test_missing_pid_file_is_refused(tmp_path: Path) -> None:
    """The error has the system's reason."""
    with pytest.raises(click.BadParameter, match="No such file"):
        read_pid(tmp_path / "pid")


def test_given_process_id_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up then."""
    serving(monkeypatch, 1, 2)
    assert chosen_daemon(4711, None) == 4711


def test_only_daemon_of_the_host_needs_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the one that is meant."""
    serving(monkeypatch, 5)
    assert chosen_daemon(None, None) == 5


def test_several_daemons_have_to_be_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error lists them."""
    serving(monkeypatch, 5, 6)
    with pytest.raises(click.UsageError, match="2 daemons; choose one: 5, 6"):
        chosen_daemon(None, None)


def test_host_without_a_daemon_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says where else the daemon may be."""
    serving(monkeypatch)
    with pytest.raises(StatusError, match="in a container"):
        chosen_daemon(None, None)


def test_two_ways_to_choose_are_one_too_many(tmp_path: Path) -> None:
    """They could contradict each other."""
    with pytest.raises(click.UsageError, match="not both"):
        chosen_daemon(5, tmp_path / "pid")
