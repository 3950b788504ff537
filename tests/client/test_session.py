"""Tests of pacemaker.client.session: its turns, over a scripted socket."""

from __future__ import annotations

import select
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest

from pacemaker.client import requests
from pacemaker.client.call import Call
from pacemaker.client.liveness import Liveness
from pacemaker.client.protocol import ClientProtocol
from pacemaker.client.session import (
    MAX_IN_FLIGHT,
    NOT_A_PACEMAKER_HINT,
    Session,
    SessionLostError,
)
from pacemaker.client.tcp import SystemClock
from pacemaker.errors import ClosedError
from pacemaker.sasl.digest import DigestClient
from pacemaker.sasl.mechanism import ClientMechanism
from pacemaker.sasl.secret import Secret
from tests.wire.by_hand import Type, ack

MAX_BODY_BYTES = 2**20


class Owner:
    """Gives calls that wait, and ends the session after the scripted turns."""

    name = "pm1:6699"

    def __init__(self, calls: int) -> None:
        request = requests.create_path("/w")
        self.calls = [Call(request, 1.0, SystemClock(), abandon) for _ in range(calls)]
        self.is_closing = False

    def take_calls(self, most: int) -> list[Call[Any]]:
        """Give the first that wait."""
        taken, self.calls = self.calls[:most], self.calls[most:]
        return taken

    def take_abandoned(self) -> list[Call[Any]]:
        """Give up nothing."""
        return []


def abandon(call: Call[Any]) -> ClosedError:
    """Take nothing back."""
    return ClosedError(Owner.name, "closed")


class Socket:
    """Takes as many bytes as a test says, and gives those that a test has put in."""

    def __init__(self) -> None:
        self.room_bytes = 0
        self.taken = b""
        self.to_read = b""

    def recv(self, most: int) -> bytes:
        """Give what a test has put in; nothing means the end of the stream."""
        data, self.to_read = self.to_read, b""
        return data

    def send(self, data: memoryview) -> int:
        """Take what there is room for."""
        if not self.room_bytes:
            raise BlockingIOError
        part = bytes(data[: self.room_bytes])
        self.room_bytes -= len(part)
        self.taken += part
        return len(part)

    def __enter__(self) -> Socket:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class Script:
    """Stands for the thread's waiter: each wait runs the next step of a test."""

    def __init__(self, owner: Owner, *steps: Callable[[], int | None]) -> None:
        self._owner = owner
        self._steps = list(steps)

    def wait(self, timeout_s: float | None, sock: Any, for_events: int) -> int:
        """Run a step instead of waiting; it returns the events, the last one ends."""
        events = self._steps.pop(0)() or 0
        self._owner.is_closing = not self._steps
        return events


def run(
    owner: Owner,
    sock: Socket,
    *steps: Callable[[], int | None],
    mechanism: ClientMechanism | None = None,
) -> None:
    """Run a session for as many turns as there are steps, each after its turn."""
    protocol = ClientProtocol(MAX_BODY_BYTES, mechanism)
    script: Any = Script(owner, *steps)
    fake_socket: Any = sock
    clock = SystemClock()
    liveness = Liveness(owner.name, clock)
    Session(owner, liveness, fake_socket, protocol, script, clock).run()


def test_session_takes_no_call_while_bytes_are_unsent() -> None:
    """A call that is not taken can still be given to another server."""
    owner, sock = Owner(1), Socket()
    # Room for a part of the proof of life, which goes first.
    sock.room_bytes = 5
    waiting: list[int] = []

    def look() -> None:
        waiting.append(len(owner.calls))

    def make_room() -> None:
        look()
        sock.room_bytes = 10_000

    run(owner, sock, look, make_room, look)
    assert waiting == [1, 1, 0]


def test_session_takes_no_more_calls_than_may_be_in_flight() -> None:
    """Those above wait until others are answered."""
    owner, sock = Owner(MAX_IN_FLIGHT + 7), Socket()
    sock.room_bytes = 1_000_000
    waiting: list[int] = []
    run(owner, sock, *[lambda: waiting.append(len(owner.calls))] * 3)
    assert waiting == [7, 7, 7]


def readable() -> int:
    """Report that the socket can be read: by default the end of the stream."""
    return select.POLLIN


def test_server_that_ends_before_any_reply_may_be_no_pacemaker() -> None:
    """Servers of other protocols close, so the error asks what listens there."""
    with pytest.raises(SessionLostError) as caught:
        run(Owner(0), Socket(), readable)
    assert str(caught.value) == f"closed by the server; {NOT_A_PACEMAKER_HINT}"


def test_server_that_has_replied_is_a_pacemaker() -> None:
    """It was restarted or has crashed, and the error does not doubt what it is."""
    sock = Socket()
    sock.room_bytes = 10_000

    def answer_the_proof_of_life() -> int:
        sock.to_read = ack(Type.CREATE_PATH_RESPONSE, 0)
        return select.POLLIN

    with pytest.raises(SessionLostError) as caught:
        run(Owner(0), sock, answer_the_proof_of_life, readable)
    assert str(caught.value) == "closed by the server"


def test_server_that_ends_during_authentication_may_have_other_settings() -> None:
    """The error names the settings that have to be the same on both sides."""
    mechanism = DigestClient(Secret("password"), "nimbus")
    with pytest.raises(
        SessionLostError, match=r"during authentication; .* credentials"
    ):
        run(Owner(0), Socket(), readable, mechanism=mechanism)
