"""What is sent over the two links of a Pacemaker, and what they report."""

from __future__ import annotations

from typing import Any

import pytest

from pacemaker.client import requests
from pacemaker.client.requests import Request
from pacemaker.relay.core.question import Answer, Question, QuestionKind
from pacemaker.relay.core.relay import Relay
from pacemaker.relay.senders import PulseSender, ReadSender

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
OTHER = "/workerbeats/words-1-1700000000/7a4e-6701"


class FakeLink:
    """A link with room for some requests."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.sent: list[tuple[Request[Any], Any]] = []
        self.flushes = 0

    @property
    def has_room(self) -> bool:
        """Whether more may be sent."""
        return self.room > len(self.sent)

    def send(self, request: Request[Any], token: Any) -> None:
        """Record a request."""
        self.sent.append((request, token))

    def flush(self) -> None:
        """Count it."""
        self.flushes += 1


class Owner:
    """The links' thread of a relay with one Pacemaker, and its newest pulses."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.values = {KEY: b"x", OTHER: b"y"}
        self.relay = Relay(1, self, self, lambda value: 1)
        self.reads = ReadSender(0, self)
        self.pulses = PulseSender(0, self)
        self.reads.link = self.read_link = FakeLink()  # type: ignore[assignment]
        self.pulses.link = self.pulse_link = FakeLink()  # type: ignore[assignment]

    def now(self) -> float:
        """Return what the test has set."""
        return self.now_s

    def newest(self, key: str) -> bytes | None:
        """Return the newest value of a key."""
        return self.values.get(key)

    def forget(self, key: str) -> None:
        """Remove a key."""
        del self.values[key]

    def open_reads(self) -> None:
        """Do nothing: the test says when the link is up."""

    def ask(self, pacemaker_index: int, question: Question) -> None:
        """Send a question."""
        self.reads.ask(question)

    def abandon(self, pacemaker_index: int, question: Question) -> None:
        """Do nothing: no answer comes."""

    def question(self, kind: QuestionKind, path: str = KEY) -> list[Answer]:
        """Ask a question; return the list that gets its answer."""
        answers: list[Answer] = []
        self.relay.ask(Question(kind, path, answers.append), self.now_s)
        return answers


@pytest.fixture
def owner() -> Owner:
    """Return a relay whose links are down."""
    return Owner()


def test_pulses_that_waited_are_sent_when_the_link_is_up(owner: Owner) -> None:
    """One flush sends them all."""
    owner.relay.pulse(KEY, "worker")
    owner.relay.pulse(OTHER, "worker")
    owner.pulses.on_up()
    assert [request.data for request, _ in owner.pulse_link.sent] == [
        requests.send_pulse(KEY, b"x").data,
        requests.send_pulse(OTHER, b"y").data,
    ]
    assert owner.pulse_link.flushes == 1
    assert owner.pulses.up_since_s > 0


def test_full_link_leaves_pulses_in_the_outbox(owner: Owner) -> None:
    """There a newer pulse can still replace them."""
    owner.pulse_link.room = 1
    owner.relay.pulse(KEY, "worker")
    owner.relay.pulse(OTHER, "worker")
    owner.pulses.on_up()
    assert len(owner.pulse_link.sent) == 1
    owner.values[OTHER] = b"newer"
    owner.pulse_link.room = 2
    owner.pulses.on_room()
    assert owner.pulse_link.sent[1][0].data == requests.send_pulse(OTHER, b"newer").data


def test_nothing_to_send_needs_no_flush(owner: Owner) -> None:
    """The kernel is not called in vain."""
    owner.pulses.on_up()
    assert owner.pulse_link.flushes == 0


@pytest.mark.parametrize(
    ("kind", "request_of"),
    [
        (QuestionKind.DELETE, requests.delete_path),
        (QuestionKind.DELETE_ONE, requests.delete_pulse),
    ],
)
def test_delete_is_sent_as_it_was_asked(
    owner: Owner, kind: QuestionKind, request_of: Any
) -> None:
    """Only one of the two removes everything below the path."""
    owner.pulses.on_up()
    owner.question(kind)
    owner.pulses.on_room()
    ((request, _),) = owner.pulse_link.sent
    assert (request.type, request.data) == (request_of(KEY).type, KEY)


def test_acknowledgement_is_counted_with_its_latency(owner: Owner) -> None:
    """A latency of 5 us has three bits."""
    owner.now_s = 0.0
    owner.relay.pulse(KEY, "worker")
    owner.pulses.on_up()
    ((_, item),) = owner.pulse_link.sent
    owner.now_s = 5e-6
    owner.pulses.on_reply(item, None)
    assert owner.pulses.latencies[3] == 1
    assert sum(owner.pulses.latencies) == 1
    assert owner.pulses.latencies_s == 5e-6


def test_very_long_latency_has_a_place_too(owner: Owner) -> None:
    """It counts among the longest."""
    owner.relay.pulse(KEY, "worker")
    owner.pulses.on_up()
    ((_, item),) = owner.pulse_link.sent
    owner.now_s += 86_400
    owner.pulses.on_reply(item, None)
    assert owner.pulses.latencies[-1] == 1


def test_unacknowledged_pulse_is_sent_on_the_next_connection(owner: Owner) -> None:
    """Nobody knows whether it had arrived."""
    owner.relay.pulse(KEY, "worker")
    owner.pulses.on_up()
    owner.pulses.on_down("for a test")
    assert owner.pulses.up_since_s == 0
    owner.pulses.on_up()
    first, second = owner.pulse_link.sent
    assert first[0].data == second[0].data


@pytest.mark.parametrize(
    ("kind", "request_of", "answer"),
    [
        (QuestionKind.PULSE, requests.get_pulse, b"x"),
        (QuestionKind.EXISTS, requests.exists, True),
        (QuestionKind.NODES, requests.list_nodes, ["a"]),
    ],
)
def test_question_is_sent_once_reads_are_up_and_answered(
    owner: Owner, kind: QuestionKind, request_of: Any, answer: Answer
) -> None:
    """Each kind has its own request."""
    answers = owner.question(kind)
    assert owner.read_link.sent == []
    owner.reads.on_up()
    ((request, question),) = owner.read_link.sent
    assert (request.type, request.data) == (request_of(KEY).type, KEY)
    owner.reads.on_reply(question, answer)
    assert answers == [answer]


def test_lost_link_holds_the_question_for_the_next_one(owner: Owner) -> None:
    """No other Pacemaker can answer it."""
    answers = owner.question(QuestionKind.PULSE)
    owner.reads.on_up()
    owner.reads.on_down("for a test")
    owner.reads.on_up()
    assert answers == []
    assert len(owner.read_link.sent) == 2
