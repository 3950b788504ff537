"""`execve`, and the descriptors that stay open across it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

from pacemaker.errors import StateError, UpgradeError
from pacemaker.server.io.listeners import LISTEN_FDS_START, inherited_listener_count
from pacemaker.server.upgrade.command import Command
from pacemaker.server.upgrade.memfd import read_state
from pacemaker.server.upgrade_state import DaemonState

# Tells the new process image where the state is: ``PID:DESCRIPTOR``.
STATE_VARIABLE: Final = "STORM_PACEMAKER_STATE"


def replace_process(
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
    slots = range(LISTEN_FDS_START, LISTEN_FDS_START + len(listener_fds))
    # Refuse rather than move such a descriptor: the state names connections by number,
    # and it is already written.
    for fd in kept:
        if fd in slots:
            raise UpgradeError(
                f"descriptor {fd} is needed for a listening socket, but is in use:"
                " restart the daemon instead"
            )
    with _in_slots(listener_fds, slots), _inheritable(kept):
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
def _in_slots(fds: Sequence[int], slots: range) -> Iterator[None]:
    """Put the listeners at descriptors 3, 4, ..., unless `execve` fails."""
    with contextlib.ExitStack() as undo:
        if list(fds) == list(slots):
            undo.enter_context(_inheritable(fds))
        else:
            # Copy all of them above the slots first: dup2 onto a slot closes what is
            # there, which may be the next listener.
            copies = [_copy_above(fd, slots, undo) for fd in fds]
            for slot, copy in zip(slots, copies, strict=True):
                undo.enter_context(_saved(slot, slots))
                os.dup2(copy, slot, inheritable=True)
        yield


def _copy_above(fd: int, slots: range, undo: contextlib.ExitStack) -> int:
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, slots.stop)
    undo.callback(os.close, copy)
    return copy


@contextlib.contextmanager
def _saved(slot: int, slots: range) -> Iterator[None]:
    """Save what is at a descriptor now, and put it back at the end.

    It may have been inherited from the program that started the daemon; then no other
    part of the daemon knows of it.
    """
    copy = -1
    try:
        is_inheritable = os.get_inheritable(slot)
        copy = fcntl.fcntl(slot, fcntl.F_DUPFD_CLOEXEC, slots.stop)
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise
        # Nothing was there, so at the end the slot is closed again.
    try:
        yield
    finally:
        if copy < 0:
            with contextlib.suppress(OSError):
                os.close(slot)
        else:
            os.dup2(copy, slot, inheritable=is_inheritable)
            os.close(copy)


class NoState(Exception):  # noqa: N818  (not an error: a process started as usual)
    """No state was handed over: this process was not upgraded."""


def read_inherited_state(
    environ: dict[str, str] | os._Environ[str] = os.environ,
) -> DaemonState:
    """Read the state that this process left when it executed itself.

    If the state cannot be read, every inherited descriptor after the listeners is
    closed.  The connections among them end with a reset.

    Args:
        environ: announces the state; the announcement is removed from it.

    Raises:
        NoState: no state is announced.
        StateError: the state cannot be read.
    """
    # It names the process because children inherit it: a daemon that is started as a
    # child of an upgraded process must not take it for its own.
    pid, _, fd = environ.pop(STATE_VARIABLE, "").partition(":")
    if pid != str(os.getpid()) or not fd.isdigit():
        raise NoState
    try:
        state = read_state(int(fd))
        _check_open(state.kept_fds)
    except StateError:
        _close_inherited(LISTEN_FDS_START + inherited_listener_count(environ))
        raise
    return state


def _check_open(fds: Iterable[int]) -> None:
    # Check before anything is restored: a number that is not open now may be given to
    # the next file, and a connection would then be restored on top of it.  Ask for one
    # after another, as listing /proc/self/fd takes several times as long.
    try:
        for fd in fds:
            os.get_inheritable(fd)
    except OSError as exc:
        raise StateError("the state names descriptors that are not open") from exc


def _close_inherited(first_fd: int) -> None:
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
