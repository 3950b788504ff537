"""What an upgrade in place carries over to the process that the daemon becomes.

Plain data.  Connections produce their part of it and are restored from it;
`pacemaker.server.upgrade.state_format` turns it into bytes and back.  Times are in
seconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pacemaker.core.protocol import Snapshot


class ConnectionState(NamedTuple):
    """One connection between two requests.

    Attributes:
        fd: its descriptor.
        peer: the peer's name in the log.
        is_greeted: whether the log has said that it is connected.
        frame_began_s: when the frame began that is unread in part; 0 for none.
        progress_s: when the peer last took any of what is unsent; 0 for never.
        snapshot: the protocol's part.
    """

    fd: int
    peer: str
    is_greeted: bool
    frame_began_s: float
    progress_s: float
    snapshot: Snapshot

    def shifted(self, by_s: float) -> ConnectionState:
        """Return the same with its times on a clock that is ahead by so much."""
        if not self.frame_began_s and not self.progress_s:
            return self
        return self._replace(
            frame_began_s=self.frame_began_s and self.frame_began_s + by_s,
            progress_s=self.progress_s and self.progress_s + by_s,
        )


class State(NamedTuple):
    """All that goes over.

    Attributes:
        parked_s: when the threads stood still.
        security_key: made for this state alone.
        security_digest: a digest, with that key, of the settings that say who
            may read.
        is_own_listener: whether the daemon opened its port itself.
        hold_until_s: until when misses are held; in the past where they are not.
        request_fd: the socket that takes those who wait for the outcome; -1
            where there is none.
        waiter_fds: the connections of those who wait.
        connections: the peers'.
        heartbeats: keys and values.
    """

    parked_s: float
    security_key: bytes
    security_digest: bytes
    is_own_listener: bool
    hold_until_s: float
    request_fd: int
    waiter_fds: tuple[int, ...]
    connections: list[ConnectionState]
    heartbeats: Iterable[tuple[str, bytes]]

    @property
    def kept_fds(self) -> tuple[int, ...]:
        """Every descriptor that it speaks of."""
        request_fds = () if self.request_fd < 0 else (self.request_fd,)
        peers = (connection.fd for connection in self.connections)
        return (*request_fds, *self.waiter_fds, *peers)
