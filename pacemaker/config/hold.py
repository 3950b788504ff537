"""How long misses are held after a start."""

from __future__ import annotations

from typing import Final, NamedTuple

from pacemaker.config.keys import RELAY_SERVERS, SERVERS
from pacemaker.config.layers import Configuration

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


class Hold(NamedTuple):
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


NO_HOLD: Final = Hold(0.0, 0.0, "no storm.yaml was read")


def decide_hold(
    configuration: Configuration, asked_s: float | None = None, origin: str = "--hold"
) -> Hold:
    """Decide how long misses are held after a start.

    With several servers, another one answers meanwhile, and a held read would only
    make Nimbus wait for its timeout.  Without a storm.yaml, nothing is known about the
    cluster.

    Args:
        configuration: the configuration that was read.
        asked_s: the administrator's choice, which wins; 0 turns holding off.
        origin: where the administrator chose it.
    """
    if asked_s is not None:
        return Hold(asked_s, asked_s, origin)
    if not configuration.files_read:
        return NO_HOLD
    settings = configuration.settings
    # Behind relays, pacemaker.servers names the relay of this host.
    key = RELAY_SERVERS if settings.relay_servers else SERVERS
    # Storm's clients treat a server that is listed twice as one.
    servers = len(set(settings.relay_servers or settings.servers))
    if servers != 1:
        return Hold(0.0, 0.0, f"{key} names {servers or 'no'} servers")
    return Hold(COLD_START_S, PORT_KEPT_S, f"{key} names one server")
