"""`execve`, and what stays open over it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.listening import LISTEN_FDS_START
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.memfd import read_state
from pacemaker.server.upgrade.state import State

# Says to the new process image where the state is: ``PID:DESCRIPTOR``.
STATE_VARIABLE: Final = "STORM_PACEMAKER_STATE"

# The first descriptor that is neither a standard stream nor the listener.
_FIRST_OTHER_FD: Final = LISTEN_FDS_START + 1


def become(
    command: Command,
    listener_fd: int,
    state_fd: int,
    kept_fds: Sequence[int],
    environ: Mapping[str, str] = os.environ,
) -> NoReturn:
    """Become the command, with the listener at the place of LISTEN_FDS.

    Args:
        command: what to become.
        listener_fd: the listening socket.
        state_fd: the state.
        kept_fds: the descriptors that the state speaks of.
        environ: the environment to go on with.

    Raises:
        OSError: it cannot be; every descriptor is as it was.
        UpgradeError: another descriptor that is kept has the listener's place.
    """
    pid = str(os.getpid())
    announced = {
        "LISTEN_FDS": "1",
        "LISTEN_PID": pid,
        STATE_VARIABLE: f"{pid}:{state_fd}",
    }
    kept = (state_fd, *kept_fds)
    if LISTEN_FDS_START in kept:
        raise UpgradeError(f"descriptor {LISTEN_FDS_START} is not the listener's")
    with _at_listeners_place(listener_fd), _inheritable(kept):
        os.execve(command.path, command.argv, {**environ, **announced})  # noqa: S606  (as we were started)


@contextlib.contextmanager
def _inheritable(fds: Iterable[int]) -> Iterator[None]:
    """Keep descriptors open over `execve`, unless it fails."""
    done = []
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
            done.append(fd)
        yield
    finally:
        for fd in done:
            os.set_inheritable(fd, False)


@contextlib.contextmanager
def _at_listeners_place(fd: int) -> Iterator[None]:
    """Put the listener at descriptor 3, unless `execve` fails.

    What is there otherwise came from who started the daemon, and nobody here
    knows of it.
    """
    place = LISTEN_FDS_START
    if fd == place:
        with _inheritable((fd,)):
            yield
        return
    is_inheritable = False
    try:
        aside = fcntl.fcntl(place, fcntl.F_DUPFD_CLOEXEC, _FIRST_OTHER_FD)
        is_inheritable = os.get_inheritable(place)
    except OSError:
        aside = -1
    os.dup2(fd, place, inheritable=True)
    try:
        yield
    finally:
        if aside < 0:
            os.close(place)
        else:
            os.dup2(aside, place, inheritable=is_inheritable)
            os.close(aside)


class NoState(Exception):  # noqa: N818  (it is no error where none was handed over)
    """This process was started in the usual way."""


def take_over(environ: dict[str, str] | os._Environ[str] = os.environ) -> State:
    """Read the state that this process left when it executed itself.

    Where it cannot be read, every descriptor behind the listener's that came along
    is closed; the connections among them end with a reset.

    Args:
        environ: where the state is announced; it is taken out.

    Raises:
        NoState: none is announced.
        StateError: it cannot be read.
    """
    pid, _, fd = environ.pop(STATE_VARIABLE, "").partition(":")
    if pid != str(os.getpid()) or not fd.isdigit():
        raise NoState
    try:
        state = read_state(int(fd))
        _check_open(state.kept_fds)
    except StateError:
        _close_all_that_came_along()
        raise
    return state


def _check_open(fds: Iterable[int]) -> None:
    # Asked one by one: to list them all takes several times as long.
    try:
        for fd in fds:
            os.get_inheritable(fd)
    except OSError as exc:
        raise StateError("the state speaks of descriptors that are not open") from exc


def _close_all_that_came_along() -> None:
    for fd in _open_fds():
        with contextlib.suppress(OSError):
            # What was opened since then closes itself at the next execve.
            if fd >= _FIRST_OTHER_FD and os.get_inheritable(fd):
                os.close(fd)


def _open_fds() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208  (Path is slower)
