"""When each worker's heartbeats arrive, seen by asking the Pacemakers all the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

from tests.wire.by_hand import (
    ClosedError,
    Type,
    Wire,
    nodes_of,
    path_request,
    pulse_reply,
)

WORKERBEATS = "/workerbeats"
PERIOD_S = 3.0
"""How often a worker writes."""

ASK_EVERY_S = 0.25
ASK_TIMEOUT_S = 1.0

Address = tuple[str, int]


def _list(connection: Wire, topology_id: str) -> set[str]:
    path = f"{WORKERBEATS}/{topology_id}"
    reply = connection.ask(path_request(Type.GET_ALL_NODES_FOR_PATH, path))
    return {name.decode() for name in nodes_of(reply)[1]}


class Flow(NamedTuple):
    """What became of the heartbeats around an event.

    Attributes:
        back_s: how long after the event, or after its end, each worker's flow.
        lost: how many were due and did not come.
        gaps_s: the longest time without a heartbeat of each worker.
    """

    back_s: float
    lost: int
    gaps_s: list[float]


class Heartbeats:
    """Asks each Pacemaker for each worker's heartbeat, and notes when it changes.

    A worker's heartbeat is another at each writing, for it has the time in it.
    Requests carry no message id, so that no answer is ever held back.

    Args:
        topology_id: whose workers.
        addresses: of the Pacemakers.

    """

    def __init__(self, topology_id: str, addresses: Sequence[Address]) -> None:
        self._topology_id = topology_id
        self._lock = threading.Lock()  # guards the three below
        self._changes: dict[str, list[float]] = {}
        # By server too: one that a worker has left keeps what it wrote there.
        self._last: dict[tuple[Address, str], bytes] = {}
        self._writes_to: dict[str, Address] = {}
        # What was noted last: relays write the same to every Pacemaker, and repeat it.
        self._newest: dict[str, bytes] = {}
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(address,), daemon=True)
            for address in addresses
        ]

    def last_changes(self) -> dict[str, float]:
        """Return when each worker's heartbeat came last, on the monotonic clock."""
        with self._lock:
            return {name: times[-1] for name, times in self._changes.items()}

    def writers(self, address: Address) -> set[str]:
        """Return the workers that write to this Pacemaker."""
        with self._lock:
            return {name for name, to in self._writes_to.items() if to == address}

    def all_since(self, names: set[str], since_s: float) -> bool:
        """Tell whether each of these workers has written since a time."""
        last = self.last_changes()
        return all(last.get(name, -1) > since_s for name in names)

    def flow(self, names: set[str], begin_s: float, back_s: float) -> Flow:
        """Return what became of these workers' heartbeats.

        Args:
            names: the workers; each has written since.
            begin_s: when the event began.
            back_s: the time that `Flow.back_s` counts from.

        """
        with self._lock:
            gaps = [_longest_gap(self._changes[name], begin_s) for name in names]
        lost = [max(0, round((end - start) / PERIOD_S) - 1) for start, end in gaps]
        returns = [
            end - back_s for (_, end), some in zip(gaps, lost, strict=True) if some
        ]
        return Flow(
            back_s=max(0.0, *returns, 0.0),
            lost=sum(lost),
            gaps_s=sorted(end - start for start, end in gaps),
        )

    def _watch(self, address: Address) -> None:
        # What is there at first may be of any age.
        note = self._remember
        while not self._over.is_set():
            try:
                with Wire(address, ASK_TIMEOUT_S) as connection:
                    while not self._over.wait(ASK_EVERY_S):
                        self._look(address, connection, note)
                        note = self._note
            except (OSError, ClosedError):
                self._over.wait(ASK_EVERY_S)

    def _look(
        self,
        address: Address,
        connection: Wire,
        note: Callable[[Address, str, bytes], None],
    ) -> None:
        for name in _list(connection, self._topology_id):
            path = f"{WORKERBEATS}/{self._topology_id}/{name}"
            reply = connection.ask(path_request(Type.GET_PULSE, path))
            if reply != pulse_reply(path, None):
                note(address, name, reply)

    def _remember(self, address: Address, name: str, reply: bytes) -> None:
        with self._lock:
            self._last[address, name] = reply

    def _note(self, address: Address, name: str, reply: bytes) -> None:
        now_s = time.monotonic()
        with self._lock:
            if self._last.get((address, name)) != reply:
                self._last[address, name] = reply
                if self._newest.get(name) == reply:
                    return
                self._newest[name] = reply
                self._changes.setdefault(name, []).append(now_s)
                self._writes_to[name] = address

    def __enter__(self) -> Heartbeats:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ask no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()


def _longest_gap(times: Sequence[float], begin_s: float) -> tuple[float, float]:
    """Return the longest gap that ends after a time: its beginning and end.

    For a worker that had not written before that time, it begins there.
    """
    known = times if times[0] <= begin_s else [begin_s, *times]
    gaps = [gap for gap in pairwise(known) if gap[1] > begin_s]
    return max(gaps, key=lambda gap: gap[1] - gap[0])
