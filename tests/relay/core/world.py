"""A relay's core, with Pacemakers that the test controls.

A Pacemaker here is a dict with a queue of what is on its way to it: it takes one item
at a time, answers when it is told to, dies, stalls, comes back empty or as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from pacemaker.relay.core.outbox import OutgoingDelete, OutgoingItem, OutgoingPulse
from pacemaker.relay.core.question import Answer, Question, QuestionKind
from pacemaker.relay.core.relay import Relay


def time_of(value: bytes) -> int | None:
    """Return the time of a heartbeat, whose text is the time."""
    return int(value) if value.isdigit() else None


def covers(path: str, key: str) -> bool:
    """Return whether a DELETE_PATH removes a key, by the rule for directories."""
    prefix = path if path.endswith("/") else path + "/"
    return f"{key}/".startswith(prefix)


class Server:
    """One Pacemaker, and what is in transit on its two connections."""

    def __init__(self, stored: dict[str, bytes]) -> None:
        self.stored = stored
        self.items: deque[OutgoingItem] = deque()
        self.questions: deque[Question] = deque()
        # What a stalled kernel still has of connections that were reset.
        self.old_items: deque[OutgoingItem] = deque()
        self.is_up = False
        self.reads_up = False

    def store(self, item: OutgoingItem) -> None:
        """Carry out a pulse or a delete."""
        if isinstance(item, OutgoingPulse):
            self.stored[item.key] = item.value
        elif item.is_tree:
            for key in [key for key in self.stored if covers(item.path, key)]:
                del self.stored[key]
        else:
            self.stored.pop(item.path, None)

    def reply(self, question: Question) -> Answer:
        """Return the answer to a read."""
        if question.kind is QuestionKind.PULSE:
            return self.stored.get(question.path)
        if question.kind is QuestionKind.EXISTS:
            return question.path in self.stored
        prefix = question.path.rstrip("/") + "/"
        names = [key[len(prefix) :] for key in self.stored if key.startswith(prefix)]
        return [name.partition("/")[0] for name in names]


class World:
    """A relay, its memory and its Pacemakers, at a time that the test sets.

    Args:
        count: how many Pacemakers there are.
        stores: what they store, if other relays write there too.
    """

    def __init__(
        self, count: int = 2, stores: list[dict[str, bytes]] | None = None
    ) -> None:
        self.now_s = 1000.0
        self.values: dict[str, bytes] = {}
        self.servers = [Server(store) for store in stores or [{} for _ in range(count)]]
        self.opened = 0
        self.abandoned: list[tuple[int, Question]] = []
        self.relay = Relay(count, self, self, time_of)

    # The relay's memory.

    def newest(self, key: str) -> bytes | None:
        """Return the newest pulse of a key."""
        return self.values.get(key)

    def forget(self, key: str) -> None:
        """Forget a key."""
        self.values.pop(key, None)

    # The relay's connections for reads.

    def open_reads(self) -> None:
        """Count the call; `connect_reads` opens the read connections."""
        self.opened += 1

    def ask(self, pacemaker_index: int, question: Question) -> None:
        """Send a question."""
        assert self.servers[pacemaker_index].reads_up
        self.servers[pacemaker_index].questions.append(question)

    def abandon(self, pacemaker_index: int, question: Question) -> None:
        """Record that nobody waits for an answer any more."""
        self.abandoned.append((pacemaker_index, question))

    # What the test does.

    def pulse(self, key: str, value: bytes, writer: Hashable = "w") -> None:
        """Write a heartbeat over a worker's connection."""
        self.values[key] = value
        self.relay.pulse(key, writer)
        self.send()

    def delete(self, path: str) -> Asked:
        """Delete a path."""
        for key in [key for key in self.values if covers(path, key)]:
            del self.values[key]
        return self.question(QuestionKind.DELETE, path)

    def question(self, kind: QuestionKind, path: str) -> Asked:
        """Ask something, over the connection of a client."""
        asked = Asked(kind, path)
        self.relay.ask(asked.question, self.now_s)
        self.send()
        return asked

    def read(self, key: str) -> Asked:
        """Read a heartbeat."""
        return self.question(QuestionKind.PULSE, key)

    def send(self) -> None:
        """Send everything that may be sent."""
        for outbox, server in zip(self.relay.outboxes, self.servers, strict=True):
            while (item := outbox.pop_next()) is not None:
                server.items.append(item)

    def connect(self, *pacemaker_indexes: int) -> None:
        """Connect to Pacemakers, for pulses and, if there is a reader, for reads."""
        for pacemaker_index in pacemaker_indexes or range(len(self.servers)):
            self.servers[pacemaker_index].is_up = True
            self.relay.pulses_up(pacemaker_index, self.now_s)
            if self.opened:
                self.connect_reads(pacemaker_index)
        self.send()

    def connect_reads(self, *pacemaker_indexes: int) -> None:
        """Connect to Pacemakers for reads."""
        for pacemaker_index in pacemaker_indexes or range(len(self.servers)):
            self.servers[pacemaker_index].reads_up = True
            self.relay.reads_up(pacemaker_index, self.now_s)

    def lose(self, pacemaker_index: int, is_stalled: bool = False) -> None:
        """Lose both connections; a stalled kernel keeps the bytes in transit."""
        server = self.servers[pacemaker_index]
        if is_stalled:
            server.old_items += server.items
        server.items.clear()
        server.questions.clear()
        if server.is_up:
            server.is_up = False
            self.relay.pulses_down(pacemaker_index, self.now_s)
        if server.reads_up:
            server.reads_up = False
            self.relay.reads_down(pacemaker_index, self.now_s)
        self.send()

    def wake(self, pacemaker_index: int) -> None:
        """Let a Pacemaker read what its kernel has kept of old connections."""
        server = self.servers[pacemaker_index]
        while server.old_items:
            server.store(server.old_items.popleft())

    def store_one(self, pacemaker_index: int) -> None:
        """Let a Pacemaker carry out, and acknowledge, its next pulse or delete."""
        server = self.servers[pacemaker_index]
        if server.items:
            item = server.items.popleft()
            server.store(item)
            self.relay.item_acknowledged(pacemaker_index, item, self.now_s)
            self.send()

    def answer_one(self, pacemaker_index: int) -> None:
        """Let a Pacemaker answer its next read."""
        server = self.servers[pacemaker_index]
        if server.questions:
            question = server.questions.popleft()
            if (pacemaker_index, question) in self.abandoned:
                began_s = question.began_s
                self.relay.late_answer(pacemaker_index, began_s, self.now_s)
            else:
                answer = server.reply(question)
                self.relay.answer(pacemaker_index, question, answer, self.now_s)
            self.send()

    def settle(self, *pacemaker_indexes: int) -> None:
        """Let Pacemakers handle everything that has reached them."""
        for pacemaker_index in pacemaker_indexes or range(len(self.servers)):
            while self.servers[pacemaker_index].items:
                self.store_one(pacemaker_index)
            while self.servers[pacemaker_index].questions:
                self.answer_one(pacemaker_index)

    def wait(self, seconds: float) -> None:
        """Let time pass, and run the relay's timers."""
        until_s = self.now_s + seconds
        while (next_s := self.relay.next_s) is not None and next_s <= until_s:
            self.now_s = max(self.now_s, next_s)
            self.relay.tick(self.now_s)
            self.send()
        self.now_s = until_s


class Asked:
    """A request, and its answers."""

    def __init__(self, kind: QuestionKind, path: str) -> None:
        self.answers: list[Answer] = []
        self.question = Question(kind, path, self.answers.append)

    @property
    def answer(self) -> Answer:
        """The answer; the request must have exactly one."""
        (answer,) = self.answers
        return answer

    @property
    def is_waiting(self) -> bool:
        """Whether there is no answer yet."""
        return not self.answers


__all__ = ["Asked", "OutgoingDelete", "OutgoingPulse", "Server", "World"]
