"""The listening sockets, which are either handed over at the start or opened here."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import socket
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Final

from pacemaker.errors import ListenError
from pacemaker.server.io import limits
from pacemaker.server.io.sockets import join_address, set_storms_options

_logger: Final = logging.getLogger(__name__)

# The first descriptor of the LISTEN_FDS protocol (sd_listen_fds(3)).
LISTEN_FDS_START: Final = 3
_HANDOVER_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")

# The errors if no interface has the address, or if its family is switched off, as IPv6
# often is in containers whose /etc/hosts has ::1.
_NOT_ON_THIS_MACHINE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_FREE_PORT_TRIES: Final = 5


def open_listeners(
    bind: str | None, port: int, environ: MutableMapping[str, str] = os.environ
) -> list[socket.socket]:
    """Return listening, non-blocking sockets with Storm's options set.

    Sockets that were handed over take precedence over address and port.

    Args:
        bind: the address or host name to listen on; None for every IPv4 and IPv6
            address.  For a host name, every one of its addresses is used.
        port: the port; 0 for any free one.
        environ: announces the handover; the announcement is removed from it.

    Raises:
        ListenError: there is no such address, the port is taken, or nothing that
            was handed over is a listening socket.
    """
    listeners = _handed_over(environ) or _bind(bind, port)
    for listener in listeners:
        try:
            _configure(listener)
        except OSError as exc:
            address = describe(listener)
            _close_all(listeners)
            raise ListenError(address, _reason(exc)) from exc
    check_backlog()
    return listeners


def inherited_listener_count(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many handed-over sockets `open_listeners` has not taken yet."""
    pid, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return 0
    # There cannot be more than this, whatever the variable says.
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return int(count) if len(count) < 10 and int(count) < most else most


def has_inherited_listeners(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether listening sockets were handed over and not yet taken."""
    return inherited_listener_count(environ) > 0


def describe(listener: socket.socket) -> str:
    """Return ``HOST:PORT`` of a socket, with an IPv6 host in brackets."""
    host, port = listener.getsockname()[:2]
    return join_address(host, port)


def describe_all(listeners: Iterable[socket.socket]) -> str:
    """Return the addresses of all sockets, separated by commas."""
    return ", ".join(map(describe, listeners))


def describe_scope(listener: socket.socket) -> str:
    """Name the families that a wildcard socket accepts; "" for other sockets."""
    host = listener.getsockname()[0]
    if host == "0.0.0.0":  # noqa: S104  (compared, not bound)
        return " (IPv4 only)"
    if host != "::":
        return ""
    is_ipv6_only = listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return " (IPv6 only)" if is_ipv6_only else " (IPv4 and IPv6)"


def ports_of(listeners: Iterable[socket.socket]) -> set[int]:
    """Return the ports that sockets listen on."""
    return {listener.getsockname()[1] for listener in listeners}


def _handed_over(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Take the sockets that were handed over, and close the unusable ones."""
    count = inherited_listener_count(environ)
    _warn_of_other_pid(environ)
    for name in _HANDOVER_VARIABLES:
        environ.pop(name, None)
    listeners = []
    for fd in range(LISTEN_FDS_START, LISTEN_FDS_START + count):
        try:
            listeners.append(_adopt(fd))
        except ListenError as exc:
            if count == 1:
                raise
            _logger.warning("%s; it is closed", exc)
            with contextlib.suppress(OSError):
                os.close(fd)
    if count and not listeners:
        raise ListenError(
            f"any of the {count} handed-over descriptors", "none is a listening socket"
        )
    return _moved_up(listeners)


def _warn_of_other_pid(environ: Mapping[str, str]) -> None:
    """Warn of a wrapper that got the sockets and started the daemon as its child."""
    pid, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    if count and pid != str(os.getpid()):
        _logger.warning(
            "LISTEN_FDS=%s is ignored, because LISTEN_PID is %r and this process is %d:"
            " a wrapper must start the daemon by `exec`",
            count,
            pid,
            os.getpid(),
        )


def _adopt(fd: int) -> socket.socket:
    name = f"the handed-over descriptor {fd}"
    try:
        listener = socket.socket(fileno=fd)
    except OSError as exc:
        raise ListenError(name, _reason(exc)) from exc
    if not _is_listening_stream(listener):
        listener.detach()
        raise ListenError(name, "it is not a listening socket of IPv4 or IPv6")
    listener.set_inheritable(False)
    return listener


def _moved_up(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Move the sockets that were handed over to the first descriptors, without gaps.

    An upgrade hands them over at those descriptors.  A gap, left by a socket that was
    closed, could hold a connection by then.
    """
    moved = []
    for place, listener in enumerate(listeners, LISTEN_FDS_START):
        fd = listener.fileno()
        if fd != place:
            os.dup2(fd, place, inheritable=False)
            listener.close()
            listener = socket.socket(fileno=place)
        moved.append(listener)
    return moved


def _close_all(listeners: Iterable[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _is_listening_stream(candidate: socket.socket) -> bool:
    if candidate.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    if candidate.type != socket.SOCK_STREAM:
        return False
    return bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _bind(bind: str | None, port: int) -> list[socket.socket]:
    try:
        if bind is None:
            return [_bind_every_address(port)]
        return _bind_name(bind, port)
    except (OSError, UnicodeError) as exc:
        address = join_address("*" if bind is None else bind, port)
        raise ListenError(address, _reason(exc)) from exc


def _bind_every_address(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        except OSError as exc:
            if exc.errno not in _NOT_ON_THIS_MACHINE:
                raise
    return socket.create_server(("", port))


def _bind_name(bind: str, port: int) -> list[socket.socket]:
    """Listen on every address of a name, all at one port."""
    for _ in range(_FREE_PORT_TRIES - 1 if port == 0 else 0):
        # A port that is free at the first address may be taken at the next.
        with contextlib.suppress(OSError):
            return _bind_each(bind, port)
    return _bind_each(bind, port)


def _bind_each(bind: str, port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in _addresses(bind, port):
        if listeners:
            port = listeners[0].getsockname()[1]
        try:
            place = (address[0], port, *address[2:])
            listeners.append(socket.create_server(place, family=family))
        except OSError as exc:
            if exc.errno not in _NOT_ON_THIS_MACHINE:
                _close_all(listeners)
                raise
            missing = exc
            _logger.info("not listening on %s: %s", address[0], _reason(exc))
    if missing is not None and not listeners:
        raise missing
    return listeners


def _addresses(bind: str, port: int) -> dict[tuple[int, tuple[Any, ...]], None]:
    """Look up a name; return its addresses, each once and in order."""
    host = bind[1:-1] if bind.startswith("[") and bind.endswith("]") else bind
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return {(int(family), address): None for family, _, _, _, address in found}


def _configure(listener: socket.socket) -> None:
    """Set the options that accepted connections inherit, and those of the backlog."""
    listener.setblocking(False)
    set_storms_options(listener)
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, limits.DEFER_ACCEPT_S
    )
    listener.listen(limits.LISTEN_BACKLOG)


def check_backlog(path: Path = Path("/proc/sys/net/core/somaxconn")) -> None:
    """Warn if the kernel limits the listen backlog to less than was asked for."""
    try:
        allowed = int(path.read_text())
    except (OSError, ValueError):
        return
    if allowed < limits.LISTEN_BACKLOG:
        _logger.warning(
            "net.core.somaxconn=%d limits the listen backlog; raise it to %d so that a"
            " whole cluster can reconnect at once",
            allowed,
            limits.LISTEN_BACKLOG,
        )


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and not isinstance(exc, socket.gaierror):
        # The message of an exception from create_server repeats the address.
        return os.strerror(exc.errno or 0)
    return getattr(exc, "strerror", None) or str(exc)
