"""What an upgrade in place hands to the process that continues as the daemon.

It is descriptors and plain data, without any object of the old process.  Each
connection produces its own part, from which the next process restores it.
`pacemaker.server.upgrade.state_format` converts all of it to bytes and back.  Times are
in seconds of CLOCK_BOOTTIME, except in the history and in a relay's own part: those are
monotonic.

These are not carried over:

- the figures
- what each account has recently spent, asked for and created
- the failed logins
- connections in the middle of a SASL exchange, and the other connections that
  `Connection.carried_state` names; all of these are reset

It is a room of its own: `pacemaker.server.io` describes and restores connections, and
`pacemaker.server.upgrade` passes the whole state on, but neither may import the other's
part of it.

This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pacemaker.core.protocol.protocol_snapshot import ProtocolSnapshot
from pacemaker.texts import host_and_port


class PeerAddress(NamedTuple):
    """The address of a peer.

    Attributes:
        host: an IPv4 or IPv6 address, without brackets; an IPv4 address that is mapped
            into IPv6 is written as the IPv4 address.
        port: the port.
    """

    host: str
    port: int

    @property
    def name(self) -> str:
        """The peer's name in the log."""
        return host_and_port(self.host, self.port)


class ConnectionState(NamedTuple):
    """One connection: its socket, its deadlines, and the state of its protocol.

    Attributes:
        fd: the connection's descriptor.
        address: the peer's address.
        is_greeted: whether the log has said that it is connected.
        frame_began_s: when the partly received frame began; 0 if there is none.
        progress_s: when the peer last received any of the unsent bytes; 0 for never.
        snapshot: the state of the protocol.
    """

    fd: int
    address: PeerAddress
    is_greeted: bool
    frame_began_s: float
    progress_s: float
    snapshot: ProtocolSnapshot

    def shifted(self, by_s: float) -> ConnectionState:
        """Return the same state for a clock that is ahead by the given seconds."""
        if not self.frame_began_s and not self.progress_s:
            return self
        return self._replace(
            frame_began_s=self.frame_began_s and self.frame_began_s + by_s,
            progress_s=self.progress_s and self.progress_s + by_s,
        )


class DaemonState(NamedTuple):
    """All the data that an upgrade carries over.

    Attributes:
        parked_s: when the threads were paused.
        security_key: a key made for this state only.
        security_digest: a digest, with that key, of the settings that decide who may
            read.
        is_own_listener: whether the daemon opened its port itself.
        hold_until_s: until when misses are held; a time in the past if they are not.
        admin_fd: the listening socket of the admin endpoint; -1 if there is none.
        upgrades: how many upgrades the process has had before this one.
        request_fd: the socket that accepts clients waiting for the outcome; -1 if
            there is none.
        waiter_fds: the connections of the waiting clients.
        connections: the connections of the peers.
        history: what `History.dump` gave; empty if there is none.
        heartbeats: keys and values.
        extra: what a relay carries over in addition; empty for other daemons.
    """

    parked_s: float
    security_key: bytes
    security_digest: bytes
    is_own_listener: bool
    hold_until_s: float
    admin_fd: int
    upgrades: int
    request_fd: int
    waiter_fds: tuple[int, ...]
    connections: list[ConnectionState]
    history: bytes
    heartbeats: Iterable[tuple[str, bytes]]
    extra: bytes = b""

    @property
    def kept_fds(self) -> tuple[int, ...]:
        """Every descriptor that this state mentions."""
        own_fds = tuple(fd for fd in (self.admin_fd, self.request_fd) if fd >= 0)
        peers = (connection.fd for connection in self.connections)
        return (*own_fds, *self.waiter_fds, *peers)
