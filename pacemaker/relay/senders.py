"""What is sent over the two links of each Pacemaker: pulses and deletes, or reads.

The first link is open as long as the relay runs, and needs no right to read.  The
second opens once somebody reads, and authenticates.  A sender is the user of a link: it
sends what the relay's core has for the Pacemaker, and tells the core what the link
reports.  Only the links' thread calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from pacemaker.client import requests
from pacemaker.client.requests import Request
from pacemaker.relay.core.outbox import OutgoingDelete, OutgoingItem, OutgoingPulse
from pacemaker.relay.core.question import Question, QuestionKind
from pacemaker.relay.core.relay import Relay
from pacemaker.relay.link import Link

# Latencies have at most this many bits of microseconds; longer ones count as 67 s.
_LATENCY_BITS: Final = 26

_READS: Final[dict[QuestionKind, Callable[[str], Request[Any]]]] = {
    QuestionKind.PULSE: requests.get_pulse,
    QuestionKind.EXISTS: requests.exists,
    QuestionKind.NODES: requests.list_nodes,
}


class SenderOwner(Protocol):
    """What a sender needs from the links' thread."""

    relay: Relay

    def now(self) -> float:
        """Return the monotonic time in seconds."""


class PulseSender:
    """The link of one Pacemaker for pulses and deletes.

    Attributes:
        link: the link.
        up_since_s: since when it is up, in seconds since 1970; 0 while it is down.
        latencies: how many items took at most k bits of microseconds from being handed
            to the link to their acknowledgement, at index k.
        latencies_s: the sum of these durations.
    """

    def __init__(self, pacemaker_index: int, owner: SenderOwner) -> None:
        self._pacemaker_index = pacemaker_index
        self._owner = owner
        self._sent_s: dict[OutgoingItem, float] = {}
        self.link: Link
        self.up_since_s = 0.0
        self.latencies = [0] * (_LATENCY_BITS + 1)
        self.latencies_s = 0.0

    def on_up(self) -> None:
        """Send what the Pacemaker has missed."""
        self.up_since_s = time.time()
        self._owner.relay.pulses_up(self._pacemaker_index, self._owner.now())
        self.on_room()

    def on_down(self, reason: str) -> None:
        """Let everything wait."""
        self.up_since_s = 0.0
        self._sent_s.clear()
        self._owner.relay.pulses_down(self._pacemaker_index, self._owner.now())

    def on_reply(self, token: OutgoingItem, value: Any) -> None:
        """Note that an item has arrived."""
        now_s = self._owner.now()
        self._count_latency(now_s - self._sent_s.pop(token))
        self._owner.relay.item_acknowledged(self._pacemaker_index, token, now_s)

    def _count_latency(self, latency_s: float) -> None:
        bits = int(latency_s * 1e6).bit_length()
        self.latencies[min(bits, _LATENCY_BITS)] += 1
        self.latencies_s += latency_s

    def on_room(self) -> None:
        """Send what waits."""
        outbox = self._owner.relay.outboxes[self._pacemaker_index]
        is_sent = False
        while self.link.has_room:
            item = outbox.pop_next()
            if item is None:
                break
            self.link.send(_request_of(item), item)
            self._sent_s[item] = self._owner.now()
            is_sent = True
        if is_sent:
            self.link.flush()


class ReadSender:
    """The link of one Pacemaker for reads."""

    def __init__(self, pacemaker_index: int, owner: SenderOwner) -> None:
        self._pacemaker_index = pacemaker_index
        self._owner = owner
        self.link: Link

    def ask(self, question: Question) -> None:
        """Send a question; the link must be up."""
        self.link.send(_READS[question.kind](question.path), question)

    def abandon(self, question: Question) -> None:
        """Abandon a question, because it was concluded without this Pacemaker."""
        self.link.abandon(question, partial(self._on_late_reply, question.began_s))

    def _on_late_reply(self, asked_s: float) -> None:
        now_s = self._owner.now()
        self._owner.relay.late_answer(self._pacemaker_index, asked_s, now_s)

    def on_up(self) -> None:
        """Ask what is not answered yet."""
        self._owner.relay.reads_up(self._pacemaker_index, self._owner.now())

    def on_down(self, reason: str) -> None:
        """Let the other Pacemakers answer."""
        self._owner.relay.reads_down(self._pacemaker_index, self._owner.now())

    def on_reply(self, token: Question, value: Any) -> None:
        """Use an answer."""
        self._owner.relay.answer(self._pacemaker_index, token, value, self._owner.now())

    def on_room(self) -> None:
        """Do nothing: questions are sent when they are asked."""


def _request_of(item: OutgoingItem) -> Request[Any]:
    if isinstance(item, OutgoingPulse):
        return requests.send_pulse(item.key, item.value)
    if isinstance(item, OutgoingDelete) and item.is_tree:
        return requests.delete_path(item.path)
    return requests.delete_pulse(item.path)
