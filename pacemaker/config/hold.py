"""How long misses are held after a start: the rule, and what overrides it."""

from __future__ import annotations

from typing import Final, NamedTuple

from pacemaker.config.keys import SERVERS
from pacemaker.config.layers import Configuration

# Clients of Storm 2.x that were refused, or saw the connection end, are back 13
# to 15 s later, a worker with its next pulse up to 3 s after that.
COLD_START_S: Final = 20.0
# While the port is kept they stand connected in the backlog, or were reset and
# connect at once: their next pulse is at most 3 s away, but for those that had a
# request under way, whom a reset costs 11 s.
PORT_KEPT_S: Final = 10.0
# For so long after the machine has started a socket that is handed over may have
# been opened only now: the clients were refused until then, as by a cold start.
MACHINE_STARTED_S: Final = 300.0

# A Nimbus of 2.x ends itself 121 s after the last answer.
MAX_HOLD_S: Final = 100


class Hold(NamedTuple):
    """For how long a daemon that has just been started holds misses.

    Attributes:
        cold_s: where its port was closed before; 0 for not at all.
        port_kept_s: where the port was open all the time.
        reason: why, as the administrator is told.
    """

    cold_s: float
    port_kept_s: float
    reason: str

    def after(self, is_handed_over: bool, machine_up_s: float) -> float:
        """Return the time that holds for a start.

        Args:
            is_handed_over: whether the listening socket came from who keeps it.
            machine_up_s: how long ago the machine was started.
        """
        is_port_kept = is_handed_over and machine_up_s >= MACHINE_STARTED_S
        return self.port_kept_s if is_port_kept else self.cold_s

    def __str__(self) -> str:
        """Say it in words."""
        if self.cold_s == self.port_kept_s:
            how_long = f"{self.cold_s:g} s" if self.cold_s else "off"
        else:
            how_long = (
                f"{self.cold_s:g} s; {self.port_kept_s:g} s where the listening"
                " socket is handed over"
            )
        return f"{how_long} ({self.reason})"


NO_HOLD: Final = Hold(0.0, 0.0, "no storm.yaml was read")


def decide_hold(configuration: Configuration, asked_s: float | None = None) -> Hold:
    """Decide for how long misses are held after a start.

    With several servers another one answers meanwhile, and a read that is held
    would cost Nimbus its patience with this one; without a storm.yaml nothing is
    known of the cluster.

    Args:
        configuration: what was read.
        asked_s: what the administrator asks for, which wins; 0 for not at all.
    """
    if asked_s is not None:
        return Hold(asked_s, asked_s, "--hold")
    if not configuration.files_read:
        return NO_HOLD
    # To Storm's clients a server that is named twice is one.
    servers = len(set(configuration.settings.servers))
    if servers != 1:
        return Hold(0.0, 0.0, f"{SERVERS} names {servers or 'no'} servers")
    return Hold(COLD_START_S, PORT_KEPT_S, f"{SERVERS} names one server")
