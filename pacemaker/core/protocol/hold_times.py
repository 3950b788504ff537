"""How long misses are held after a start."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

# A client of Storm 2.x that was refused, or lost its connection, reconnects 13 to
# 15 s later.  A worker sends its next pulse up to 3 s after that.
COLD_START_S: Final = 20.0
# If the port is kept, clients wait connected in the backlog, or were reset and
# reconnect at once.  Their next pulse comes within 3 s, except from clients that had
# a request in flight: a reset delays those by 11 s.
PORT_KEPT_S: Final = 10.0
# This soon after the machine's start, a socket that is handed over may have been
# opened only now.  Until then clients were refused, as in a cold start.
MACHINE_STARTED_S: Final = 300.0

# A Nimbus of 2.x that gets no answer for 80 to 121 s ends itself (docs/cluster.md).
MAX_HOLD_S: Final = 100


class HoldTimes(NamedTuple):
    """How long a daemon that has just started holds misses.

    Attributes:
        cold_s: how long, if the port was closed before; 0 if misses are not held.
        port_kept_s: how long, if the port was open throughout.
        reason: the reason, for the administrator.
    """

    cold_s: float
    port_kept_s: float
    reason: str

    def after(self, is_handed_over: bool, machine_up_s: float) -> float:
        """Return the time for one particular start.

        Args:
            is_handed_over: whether the listening socket was handed over, by systemd
                for example.
            machine_up_s: how long ago the machine was started.
        """
        is_port_kept = is_handed_over and machine_up_s >= MACHINE_STARTED_S
        return self.port_kept_s if is_port_kept else self.cold_s

    def __str__(self) -> str:
        """Describe the times and the reason."""
        if self.cold_s == self.port_kept_s:
            how_long = f"{self.cold_s:g} s" if self.cold_s else "off"
        else:
            how_long = (
                f"{self.cold_s:g} s; {self.port_kept_s:g} s if the listening"
                " socket is handed over"
            )
        return f"{how_long} ({self.reason})"


# Without a storm.yaml, nothing is known about the cluster.
NO_HOLD: Final = HoldTimes(0.0, 0.0, "no storm.yaml was read")


def decide_hold_times(servers: Collection[object], key: str) -> HoldTimes:
    """Decide how long misses are held after a start, by the servers of the cluster.

    With several servers, another one answers meanwhile, and a held read would only
    make Nimbus wait for its timeout.

    Args:
        servers: the servers of the cluster.
        key: the key of storm.yaml that names them.
    """
    # Storm's clients treat a server that is listed twice as one.
    count = len(set(servers))
    if count != 1:
        return HoldTimes(0.0, 0.0, f"{key} names {count or 'no'} servers")
    return HoldTimes(COLD_START_S, PORT_KEPT_S, f"{key} names one server")
