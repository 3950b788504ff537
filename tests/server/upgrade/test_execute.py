"""`execve`: the listeners' descriptors before it, and the undoing of a failure."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.upgrade import execute
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.execute import replace_process

pytestmark = pytest.mark.io

PLACE = 300
COMMAND = Command("/bin/true", ("true",))


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use numbers for the listeners that no open descriptor has."""
    monkeypatch.setattr(execute, "LISTEN_FDS_START", PLACE)


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Yield two listening sockets."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(2)
        ]


class Execve:
    """A fake `execve`: records what would stay open, and fails."""

    def __init__(self, places: Sequence[int]) -> None:
        self._places = places
        self.names: list[tuple[str, int]] = []
        self.environ: Mapping[str, str] = {}

    def __call__(self, path: str, argv: Sequence[str], environ: dict[str, str]) -> None:
        """Look at each of the numbers."""
        self.environ = environ
        for fd in self._places:
            assert os.get_inheritable(fd)
            with socket.socket(fileno=os.dup(fd)) as listener:
                self.names.append(listener.getsockname())
        raise OSError(errno.ENOENT, "as asked for")


def _become(monkeypatch: pytest.MonkeyPatch, fds: Sequence[int]) -> Execve:
    state_fd = os.memfd_create("state")
    execve = Execve(range(PLACE, PLACE + len(fds)))
    monkeypatch.setattr(os, "execve", execve)
    before = _open()
    with pytest.raises(OSError, match="as asked for"):
        replace_process(COMMAND, fds, state_fd, (), {})
    assert _open() == before
    os.close(state_fd)
    return execve


def _open() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (Path is slower)
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:  # the one that lists them
            continue
    return found


def test_listeners_are_moved_to_their_places(
    monkeypatch: pytest.MonkeyPatch, listeners: list[socket.socket]
) -> None:
    """They are moved in order, inheritable and announced."""
    execve = _become(monkeypatch, [each.fileno() for each in listeners])
    assert execve.names == [each.getsockname() for each in listeners]
    assert execve.environ["LISTEN_FDS"] == "2"


def test_listeners_in_each_others_places_are_exchanged(
    monkeypatch: pytest.MonkeyPatch, listeners: list[socket.socket]
) -> None:
    """No listener is lost if each has the other's number."""
    names = [each.getsockname() for each in listeners]
    for place, each in zip((PLACE + 1, PLACE), listeners, strict=True):
        os.dup2(each.fileno(), place, inheritable=False)
    execve = _become(monkeypatch, [PLACE + 1, PLACE])
    assert execve.names == names
    for place in (PLACE, PLACE + 1):
        assert not os.get_inheritable(place)
        os.close(place)


def test_what_is_at_a_place_is_put_back(
    monkeypatch: pytest.MonkeyPatch, listeners: list[socket.socket]
) -> None:
    """Another descriptor with such a number is restored after a failure."""
    strange_fd = os.memfd_create("strange")
    os.dup2(strange_fd, PLACE + 1, inheritable=True)
    _become(monkeypatch, [each.fileno() for each in listeners])
    assert os.get_inheritable(PLACE + 1)
    for fd in (strange_fd, PLACE + 1):
        os.close(fd)


def test_connection_at_a_listeners_place_is_refused(
    listeners: list[socket.socket],
) -> None:
    """The connection would be lost, so the upgrade is refused."""
    with pytest.raises(UpgradeError, match="descriptor 301 is needed for a listen"):
        replace_process(
            COMMAND, [each.fileno() for each in listeners], 9, (PLACE + 1,), {}
        )


def test_descriptors_are_found_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, inherited descriptors are still found, to close them."""

    def refuse(path: str) -> list[str]:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    monkeypatch.setattr(os, "listdir", refuse)
    state_fd = os.memfd_create("state")
    os.dup2(state_fd, PLACE)
    os.dup2(state_fd, PLACE + 1, inheritable=False)
    environ = {execute.STATE_VARIABLE: f"{os.getpid()}:{state_fd}"}
    with pytest.raises(StateError):
        execute.read_inherited_state(environ)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(PLACE)
    # This one was opened since.
    os.close(PLACE + 1)
