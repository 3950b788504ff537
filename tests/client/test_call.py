"""Tests of pacemaker.client.call."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pacemaker.client import requests
from pacemaker.client.call import Call
from pacemaker.client.tcp import SystemClock
from pacemaker.errors import ClientError, ClosedError
from pacemaker.testing import MemoryClock

LONG_S = 30.0
PING = requests.create_path("/")


def abandon(call: Call[Any]) -> ClientError:
    """Give up a call."""
    return ClosedError("pm1", "given up")


def test_answer_is_returned() -> None:
    """It took as long as the clock says."""
    clock = MemoryClock()
    call = Call(PING, 2.0, clock, abandon)
    clock.advance(1.5)
    assert (call.is_answered, call.took_s) == (False, 1.5)
    call.succeed(None)
    clock.advance(1.0)
    call.result()
    assert (call.is_answered, call.took_s) == (True, 1.5)
    assert repr(call) == "<Call CREATE_PATH answered>"


def test_error_is_raised() -> None:
    """It is the one that the connection has set."""
    call = Call(PING, 2.0, MemoryClock(), abandon)
    call.fail(ClosedError("pm1", "closed"))
    with pytest.raises(ClosedError, match="pm1: closed"):
        call.result()


def test_call_is_given_up_at_its_deadline() -> None:
    """The error is that of who withdraws it; an answer after it is nobody's."""
    clock = MemoryClock()
    call = Call(PING, 2.0, clock, abandon)
    clock.call_later(2.5, lambda: call.succeed(None))
    with pytest.raises(ClosedError, match="given up"):
        call.result()
    assert clock.now_s() == call.deadline_s == 2.0


def test_answered_call_cannot_be_cancelled() -> None:
    """Only a call that still waits is withdrawn, once."""
    given_up: list[Call[Any]] = []

    def note(call: Call[Any]) -> ClientError:
        given_up.append(call)
        return abandon(call)

    answered, waits = (Call(PING, 2.0, MemoryClock(), note) for _ in range(2))
    answered.succeed(None)
    answered.cancel()
    waits.cancel()
    assert given_up == [waits]


def test_interrupted_caller_gives_its_call_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C in a wait frees the call's place, and the connection goes on."""
    given_up: list[Call[Any]] = []

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    def abandon(call: Call[Any]) -> ClientError:
        given_up.append(call)
        return ClosedError("", "")

    monkeypatch.setattr("pacemaker.client.call.threading.Event", Interrupted)
    call = Call(PING, LONG_S, SystemClock(), abandon)
    with pytest.raises(KeyboardInterrupt):
        call.result()
    assert given_up == [call]
    assert repr(call) == "<Call CREATE_PATH waits>"
