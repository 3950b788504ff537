"""`execve`, and the descriptors that stay open across it."""

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

# Tells the new process image where the state is: ``PID:DESCRIPTOR``.
STATE_VARIABLE: Final = "STORM_PACEMAKER_STATE"


def become(
    command: Command,
    listener_fds: Sequence[int],
    state_fd: int,
    kept_fds: Sequence[int],
    environ: Mapping[str, str] = os.environ,
) -> NoReturn:
    """Execute the command, with the listeners at the descriptors of LISTEN_FDS.

    Args:
        command: the command to execute.
        listener_fds: the listening sockets.
        state_fd: the memfd that holds the state.
        kept_fds: the descriptors that the state names.
        environ: the environment to pass on.

    Raises:
        OSError: the command cannot be executed; every descriptor is as it was.
        UpgradeError: another kept descriptor has the number meant for a listener.
    """
    pid = str(os.getpid())
    announced = {
        "LISTEN_FDS": str(len(listener_fds)),
        "LISTEN_PID": pid,
        STATE_VARIABLE: f"{pid}:{state_fd}",
    }
    kept = (state_fd, *kept_fds)
    places = range(LISTEN_FDS_START, LISTEN_FDS_START + len(listener_fds))
    # Refuse rather than move such a descriptor: the state names connections by number,
    # and it is already written.
    for fd in kept:
        if fd in places:
            raise UpgradeError(f"descriptor {fd} is not a listener's")
    with _at_their_places(listener_fds, places), _inheritable(kept):
        os.execve(command.path, command.argv, {**environ, **announced})  # noqa: S606  (as we were started)


@contextlib.contextmanager
def _inheritable(fds: Iterable[int]) -> Iterator[None]:
    """Keep descriptors open across `execve`; undo that if it fails."""
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
            # Copy all of them above the places first: dup2 onto a place closes what is
            # there, which may be the next listener.
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
    """Save what is at a descriptor now, and put it back at the end.

    It may be a descriptor that was inherited from whoever started the daemon, of which
    nothing here knows.
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
    """No state was handed over: this process was started in the usual way."""


def take_over(environ: dict[str, str] | os._Environ[str] = os.environ) -> State:
    """Read the state that this process left when it executed itself.

    If the state cannot be read, every inherited descriptor after the listeners is
    closed.  The connections among them end with a reset.

    Args:
        environ: announces the state; the announcement is removed from it.

    Raises:
        NoState: no state is announced.
        StateError: the state cannot be read.
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
    # Ask for one after another, as listing /proc/self/fd takes several times as long.
    try:
        for fd in fds:
            os.get_inheritable(fd)
    except OSError as exc:
        raise StateError("the state speaks of descriptors that are not open") from exc


def _close_all_that_came_along(first_fd: int) -> None:
    for fd in _open_fds():
        with contextlib.suppress(OSError):
            # A descriptor that is inheritable came across execve.  Everything that was
            # opened since then is not inheritable.
            if fd >= first_fd and os.get_inheritable(fd):
                os.close(fd)


def _open_fds() -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  (Path is slower)
    except OSError:
        # Without /proc, try every number that is possible.
        return range(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
