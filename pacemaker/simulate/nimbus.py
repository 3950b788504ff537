"""A Nimbus: its rounds over one connection, without I/O.

Every 10 s it lists the topologies and reads each worker's heartbeat, one after another:
it requests each one when it has received the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence
from typing import Any

from pacemaker.client.protocol import ClientPhase, ClientProtocol
from pacemaker.client.requests import Request, get_pulse, list_nodes
from pacemaker.config.storm_defaults import NIMBUS_MONITOR_SECS
from pacemaker.heartbeats.keys import ROOT
from pacemaker.simulate.tally import Tally


class NimbusProtocol:
    """One Nimbus.

    Args:
        new_protocol: creates the client's half of a new connection.
        topology_ids: the topologies that the list must contain.
        keys: the heartbeats to read.
        values: for each key, the values that may be stored under it.
        tally: counts the events.

    Attributes:
        next_s: the scheduled time of the next round; None before `start`, during a
            round, and after `stop`.
        began_s: the scheduled time of the current round; None between rounds.
    """

    def __init__(
        self,
        new_protocol: Callable[[], ClientProtocol],
        topology_ids: Collection[str],
        keys: Sequence[str],
        values: Sequence[Container[bytes]],
        tally: Tally,
    ) -> None:
        self._new_protocol = new_protocol
        self._protocol = new_protocol()
        self._topology_ids = frozenset(topology_ids)
        self._values = values
        self._tally = tally
        self._requests: list[Request[Any]] = [list_nodes(ROOT)]
        self._requests += map(get_pulse, keys)
        self._asked = 0
        self._asked_s = 0.0
        self._is_stopping = False
        self.next_s: float | None = None
        self.began_s: float | None = None

    def __repr__(self) -> str:
        return (
            f"<NimbusProtocol asked={self._asked} of {len(self._requests)}"
            f" {self._protocol!r}>"
        )

    @property
    def is_ready(self) -> bool:
        """Whether it may send requests: it has authenticated, if that is needed."""
        return self._protocol.phase is ClientPhase.OPEN

    @property
    def unanswered(self) -> int:
        """The number of unanswered requests."""
        return 0 if self.began_s is None else 1

    @property
    def oldest_unanswered_s(self) -> float | None:
        """When the unanswered request was sent."""
        return None if self.began_s is None else self._asked_s

    def start(self, first_s: float) -> None:
        """Schedule the first round."""
        self.next_s = first_s

    def begin_round(self) -> bytes:
        """Begin the scheduled round; return the bytes to send."""
        assert self.next_s is not None  # noqa: S101  (the caller has looked)
        self.began_s, self.next_s = self.next_s, None
        self._asked = 0
        self._asked_s = self.began_s
        return self._ask()

    def stop(self) -> None:
        """Send no further requests."""
        self._is_stopping = True
        self.next_s = None

    def bytes_on_connect(self, now_s: float) -> bytes:
        """Return the bytes to send on a new connection."""
        self._protocol = self._new_protocol()
        if self.began_s is not None:
            self._protocol.request(self._requests[self._asked])
        return self._data_to_send()

    def receive_data(self, data: bytes, now_s: float) -> bytes:
        """Process bytes from the server; return the bytes to send.

        Raises:
            PeerError: the bytes are not the expected reply.
        """
        self._protocol.receive_data(data)
        outgoing = self._data_to_send()
        for reply in self._protocol.replies():
            outgoing += self._process_reply(reply.value, reply.is_refused, now_s)
        return outgoing

    def _process_reply(self, value: Any, is_refused: bool, now_s: float) -> bytes:
        self._tally.reads.record(now_s - self._asked_s)
        wrong = "unauthorized reads" if is_refused else self._wrong(value)
        if wrong:
            self._tally.wrong[wrong] += 1
        self._asked += 1
        self._asked_s = now_s
        if self._asked < len(self._requests) and not self._is_stopping:
            return self._ask()
        self._end_round(now_s)
        return b""

    def _end_round(self, now_s: float) -> None:
        began_s, self.began_s = self.began_s, None
        if began_s is not None and self._asked == len(self._requests):
            self._tally.rounds.record(now_s - began_s)
            if not self._is_stopping:
                self.next_s = max(began_s + NIMBUS_MONITOR_SECS, now_s)

    def _wrong(self, value: Any) -> str:
        """Describe what is wrong with an answer; empty if it is as stored."""
        if self._asked == 0:
            return (
                "" if self._topology_ids <= set(value) else "lists that lack topologies"
            )
        if value is None:
            return "missing heartbeats"
        return (
            ""
            if value in self._values[self._asked - 1]
            else "heartbeats with other bytes"
        )

    def _ask(self) -> bytes:
        self._protocol.request(self._requests[self._asked])
        return self._protocol.data_to_send()

    def _data_to_send(self) -> bytes:
        protocol = self._protocol
        # A step with a KDC is slow and delays the pulses.  It runs once before the run,
        # and during the run only after a connection was lost.
        while protocol.phase is ClientPhase.STEPPING:
            protocol.finish_step(protocol.run_step())
        if protocol.error is not None:
            raise protocol.error
        return protocol.data_to_send()
