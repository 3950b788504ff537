"""Refusals by the system: one line, and the daemon continues if it can."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from pacemaker.errors import StartError
from pacemaker.server.process import environment


def _limits(soft: int, hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, hard))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EPERM, "Operation not permitted"), "not permitted"),
        (ValueError("not allowed to raise maximum limit"), "not allowed"),
    ],
)
def test_limit_that_may_not_be_raised_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    reason: str,
) -> None:
    """A sandbox may forbid it; the daemon serves as many peers as it can."""
    _limits(1024, 4096, monkeypatch)

    def refuse(what: int, limits: tuple[int, int]) -> None:
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    environment.raise_descriptor_limit()
    (message,) = caplog.messages
    assert message.startswith("cannot raise the limit of open descriptors from 1024 to")
    assert reason in message


def test_limit_that_is_the_highest_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit that is already the maximum is not set again."""
    _limits(4096, 4096, monkeypatch)
    asked: list[object] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *args: asked.append(args))
    environment.raise_descriptor_limit()
    assert not asked


def test_standard_streams_that_are_open_are_left_alone() -> None:
    """Nothing is opened if all three streams are open."""
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  (Path opens one more)
    environment.fill_standard_streams()
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (
            OSError(errno.EMFILE, "Too many open files"),
            "the daemon cannot start: Too many open files; raise the limit of open"
            " descriptors (ulimit -n, LimitNOFILE=)",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"),
            "the daemon cannot start: /x: No such file or directory",
        ),
        (OSError("odd"), "the daemon cannot start: odd"),
    ],
)
def test_refusal_during_the_start_is_one_line(exc: OSError, text: str) -> None:
    """The line names the file, and what to change if that is known."""
    with pytest.raises(StartError) as caught, environment.as_start_error():
        raise exc
    assert str(caught.value) == text
