"""Tests of pacemaker.server.upgrade.request: a client asks and gets the outcome."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from contextlib import ExitStack

import pytest

from pacemaker.errors import UpgradeError
from pacemaker.server.process.local_socket import address_of
from pacemaker.server.upgrade.request import request_upgrade
from pacemaker.server.upgrade.waiters import REFUSED, SERVES, Waiters
from tests.server.upgrade.asking import GIVE_UP_S, Asking, await_request

pytestmark = pytest.mark.io


def test_asking_gives_up_in_time(waiters: Waiters) -> None:
    """A client does not wait forever for a silent daemon."""
    with pytest.raises(UpgradeError, match="no outcome in time"):
        request_upgrade(os.getpid(), 0.05)


def test_asking_sends_nothing_to_a_process_that_is_no_daemon(asked: None) -> None:
    """SIGUSR2 would end another program, so it is not sent to one."""
    with pytest.raises(UpgradeError, match="is not a running storm-pacemaker-py"):
        request_upgrade(os.getpid(), GIVE_UP_S)
    assert signal.sigtimedwait({signal.SIGUSR2}, 0) is None


def test_asking_trusts_nobody_who_answers_for_another(asked: None) -> None:
    """The kernel's credentials expose a process that listens in another's name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as impostor:
        impostor.bind(address_of(1))
        impostor.listen()
        with pytest.raises(UpgradeError, match="another process listens"):
            request_upgrade(1, GIVE_UP_S)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (SERVES, "upgraded"),
        (f"{REFUSED}no such\nfile", "refused: no such file"),
        ("", "the daemon closed the connection without an outcome"),
    ],
)
def test_asking_waits_for_the_outcome(
    waiters: Waiters, told: str, outcome: str
) -> None:
    """The client connects, sends the signal, and receives one line as the outcome."""
    asking = Asking()
    await_request()
    waiters.accept()
    waiters.tell(told)
    assert asking.end().startswith(outcome)


def test_asking_waits_for_room_in_the_queue(waiters: Waiters) -> None:
    """Any local user may fill it, and the daemon empties it in its next turn."""
    with ExitStack() as stack:
        fill_queue(stack)
        with pytest.raises(UpgradeError, match="in time: its socket is full"):
            request_upgrade(os.getpid(), 0.1)
        asking = Asking()
        waiters.accept()
        waiters.tell(SERVES)
        await_request()
        waiters.accept()
        waiters.tell(SERVES)
        assert asking.end() == "upgraded"


def fill_queue(stack: ExitStack) -> None:
    """Connect to this process's socket until its queue is full."""
    with contextlib.suppress(BlockingIOError):
        while True:
            stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stack.enter_context(stranger).setblocking(False)
            stranger.connect(address_of(os.getpid()))


def test_asking_ends_when_the_daemon_stops(waiters: Waiters) -> None:
    """Clients that are still in the backlog are told, too."""
    asking = Asking()
    await_request()
    waiters.close(f"{REFUSED}the daemon is stopping")
    assert asking.end() == "refused: the daemon is stopping"
