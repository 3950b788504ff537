"""What may happen to two Pacemakers, with relays in front of them and without."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.cluster.hosts import cuttable
from tests.cluster.pacemakers import Pacemaker

AWAY_S = 40
HANG_S = 60
BETWEEN_RESTARTS_S = 30


class Event(NamedTuple):
    """An event.

    Attributes:
        number: of the kind of scenario, which sorts the table.
        text: in the table, behind its number and what the cluster has.
        happen: lets it happen to a Pacemaker and another one, and returns for how many
            seconds no Pacemaker could take a heartbeat.
    """

    number: int
    text: str
    happen: Callable[[Pacemaker, Pacemaker], float]

    def scenario(self, cluster_has: str) -> str:
        """Return its name in the table."""
        return f"{self.number}. {cluster_has}: {self.text}"


def _kill(one: Pacemaker, _other: Pacemaker) -> float:
    one.end(signal.SIGKILL)
    time.sleep(AWAY_S)
    return 0.0


def _cut_off(one: Pacemaker, _other: Pacemaker) -> float:
    host = cuttable(one.host)
    host.cut_off()
    time.sleep(AWAY_S)
    host.mend()
    return 0.0


def _hang(one: Pacemaker, _other: Pacemaker) -> float:
    one.child.signal(signal.SIGSTOP)
    time.sleep(HANG_S)
    one.child.signal(signal.SIGCONT)
    return 0.0


def _restart_both(one: Pacemaker, other: Pacemaker) -> float:
    one.go_away(signal.SIGTERM, 0)
    time.sleep(BETWEEN_RESTARTS_S)
    other.go_away(signal.SIGTERM, 0)
    return 0.0


def _restart_beside_one_cut_off(one: Pacemaker, other: Pacemaker) -> float:
    host = cuttable(other.host)
    host.cut_off()
    began_s = time.monotonic()
    one.go_away(signal.SIGKILL, 0)
    # Until it had started, nobody could take a heartbeat.
    none_s = time.monotonic() - began_s
    time.sleep(AWAY_S)
    host.mend()
    return none_s


def all_away(outage_s: int) -> Event:
    """Return the event that no Pacemaker is there for some seconds."""

    def kill_both(one: Pacemaker, other: Pacemaker) -> float:
        began_s = time.monotonic()
        one.end(signal.SIGKILL)
        other.end(signal.SIGKILL)
        time.sleep(outage_s)
        one.start()
        other.start()
        return time.monotonic() - began_s

    return Event(5, f"all Pacemakers are away for {outage_s} s", kill_both)


KILLED = Event(2, "one of two is killed", _kill)
RESTARTED = Event(3, "both are restarted, 30 s apart, ports closed", _restart_both)
CUT_OFF = Event(4, f"one of two is cut off for {AWAY_S} s", _cut_off)
HANGING = Event(4, f"one of two hangs for {HANG_S} s", _hang)
EMPTY = Event(
    4, "one restarted empty while the other is cut off", _restart_beside_one_cut_off
)
EVENTS = {
    "killed": KILLED,
    "cut-off": CUT_OFF,
    "hangs": HANGING,
    "restarted": RESTARTED,
    "empty": EMPTY,
    "away-5": all_away(5),
    "away-25": all_away(25),
    "away-100": all_away(100),
}
