"""`execve`, and what stays open over it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

from pacemaker.core.carried_over import State
from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.io.listening import LISTEN_FDS_START, handed_over_count
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.memfd import read_state

# Says to the new process image where the state is: ``PID:DESCRIPTOR``.
STATE_VARIABLE: Final = "STORM_PACEMAKER_STATE"


def become(
    command: Command,
    listener_fds: Sequence[int],
    state_fd: int,
    kept_fds: Sequence[int],
    environ: Mapping[str, str] = os.environ,
) -> NoReturn:
    """Become the command, with the listeners at the places of LISTEN_FDS.

    Args:
        command: what to become.
        listener_fds: the listening sockets.
        state_fd: the state.
        kept_fds: the descriptors that the state speaks of.
        environ: the environment to go on with.

    Raises:
        OSError: it cannot be; every descriptor is as it was.
        UpgradeError: another descriptor that is kept has a listener's place.
    """
    pid = str(os.getpid())
    announced = {
        "LISTEN_FDS": str(len(listener_fds)),
        "LISTEN_PID": pid,
        STATE_VARIABLE: f"{pid}:{state_fd}",
    }
    kept = (state_fd, *kept_fds)
    places = range(LISTEN_FDS_START, LISTEN_FDS_START + len(listener_fds))
    for fd in kept:
        if fd in places:
            raise UpgradeError(f"descriptor {fd} is not a listener's")
    with _at_their_places(listener_fds, places), _inheritable(kept):
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
def _at_their_places(fds: Sequence[int], places: range) -> Iterator[None]:
    """Put the listeners at descriptors 3, 4, ..., unless `execve` fails."""
    with contextlib.ExitStack() as undo:
        if list(fds) == list(places):
            undo.enter_context(_inheritable(fds))
        else:
            # First out of the way of each other.
            for place, copy in zip(
                places, [_copy_above(fd, places, undo) for fd in fds], strict=True
            ):
                undo.enter_context(_set_aside(place, places))
                os.dup2(copy, place, inheritable=True)
        yield


def _copy_above(fd: int, places: range, undo: contextlib.ExitStack) -> int:
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, places.stop)
    undo.callback(os.close, copy)
    return copy


@contextlib.contextmanager
def _set_aside(place: int, places: range) -> Iterator[None]:
    """Keep what a descriptor is now, and put it back at the end.

    What is there came from whoever started the daemon, and nobody here knows of it.
    """
    aside = -1
    try:
        is_inheritable = os.get_inheritable(place)
        aside = fcntl.fcntl(place, fcntl.F_DUPFD_CLOEXEC, places.stop)
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise
    try:
        yield
    finally:
        if aside < 0:
            with contextlib.suppress(OSError):
                os.close(place)
        else:
            os.dup2(aside, place, inheritable=is_inheritable)
            os.close(aside)


class NoState(Exception):  # noqa: N818  (it is no error where none was handed over)
    """This process was started in the usual way."""


def take_over(environ: dict[str, str] | os._Environ[str] = os.environ) -> State:
    """Read the state that this process left when it executed itself.

    If it cannot be read, every descriptor after the listeners' that came along is
    closed; the connections among them end with a reset.

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
        _close_all_that_came_along(LISTEN_FDS_START + handed_over_count(environ))
        raise
    return state


def _check_open(fds: Iterable[int]) -> None:
    # Asked one by one: to list them all takes several times as long.
    try:
        for fd in fds:
            os.get_inheritable(fd)
    except OSError as exc:
        raise StateError("the state speaks of descriptors that are not open") from exc


def _close_all_that_came_along(first_fd: int) -> None:
    for fd in _open_fds():
        with contextlib.suppress(OSError):
            # What was opened since then closes itself at the next execve.
            if fd >= first_fd and os.get_inheritable(fd):
                os.close(fd)


def _open_fds() -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  (Path is slower)
    except OSError:
        # Without /proc each number that there may be is tried.
        return range(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
