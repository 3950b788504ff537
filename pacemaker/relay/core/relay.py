"""The relay without its sockets: pulses, deletes and reads, for all Pacemakers.

One thread calls it.  What it needs from outside is in `ReadLinks` and `NewestPulses`.

**A read** goes to all Pacemakers that are connected, at the same time.  It is answered
once all of them have answered, or when time is up (`limits.ANSWER_TIMEOUT_S`).  From
then on reads do not wait for a late Pacemaker, until it answers again.  A hit waits
only briefly for a Pacemaker that is not complete.  A read that cannot be answered yet
(see `read_results`) is *held*: the Pacemakers are asked again until it can be.

**Complete.**  A Pacemaker may have been restarted and be empty, so its miss means
something only if it has been connected for as long as any worker needs to reach it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Protocol, cast

from pacemaker.relay.core import limits
from pacemaker.relay.core.answered_times import AnsweredTimes
from pacemaker.relay.core.outbox import Outbox, OutgoingDelete, OutgoingItem
from pacemaker.relay.core.pacemaker_state import PacemakerState, ReadLinkPhase
from pacemaker.relay.core.question import Answer, Question, QuestionKind
from pacemaker.relay.core.read_results import (
    ReadOutcome,
    TimeOf,
    combine_answers,
    combine_names,
)
from pacemaker.relay.core.writers import Writers


class ReadLinks(Protocol):
    """The connections for reads."""

    def open_reads(self) -> None:
        """Open the connections for reads, because somebody reads."""

    def ask(self, pacemaker_index: int, question: Question) -> None:
        """Send a question to a Pacemaker whose connection for reads is up."""

    def abandon(self, pacemaker_index: int, question: Question) -> None:
        """Abandon a question: discard its answer when it comes."""


class NewestPulses(Protocol):
    """The newest pulses."""

    def newest(self, key: str) -> bytes | None:
        """Return the newest value of a key."""

    def forget(self, key: str) -> None:
        """Remove a key whose worker has gone, unless it was just written again."""


class Relay:
    """The relay's decisions.

    Args:
        count: how many Pacemakers there are; each is known by its index.
        read_links: the connections for reads.
        newest_pulses: the newest pulses.
        time_of: reads the time of a heartbeat.

    Attributes:
        outboxes: what waits for each Pacemaker.
        pacemakers: the state of each Pacemaker.
        writers: which connection wrote each key.
        answered_times: the times that were answered.
        held_count: how many reads were held.
    """

    def __init__(
        self,
        count: int,
        read_links: ReadLinks,
        newest_pulses: NewestPulses,
        time_of: TimeOf,
    ) -> None:
        self._read_links = read_links
        self._newest_pulses = newest_pulses
        self._time_of = time_of
        self.outboxes = [Outbox(newest_pulses.newest) for _ in range(count)]
        self.pacemakers = [PacemakerState() for _ in range(count)]
        self.writers = Writers()
        self.answered_times = AnsweredTimes()
        self.held_count = 0
        self._pending: dict[Question, None] = {}
        self._deleting: dict[OutgoingDelete, Question] = {}
        self._timers: list[tuple[float, int, Question]] = []
        self._timer_numbers = itertools.count()
        # Keys that a delete of a tree may have removed, and whether there was another
        # such delete since they were listed.
        self._unswept: list[str] = []
        self._sweeps_again = False

    def __repr__(self) -> str:
        return f"<Relay pending={len(self._pending)} {self.outboxes}>"

    @property
    def pending_questions(self) -> int:
        """How many requests are not answered yet."""
        return len(self._pending)

    # What Storm's clients send.

    def pulse(self, key: str, writer: Hashable) -> None:
        """Pass on the newest pulse of a key.

        Args:
            key: the key; its value is among the newest pulses.
            writer: the connection that wrote it.
        """
        self.writers.wrote(key, writer)
        for outbox in self.outboxes:
            outbox.pulse(key)

    def writer_left(self, writer: Hashable, now_s: float) -> None:
        """Note that the connection of a worker has ended."""
        self.writers.writer_left(writer, now_s)

    def ask(self, question: Question, now_s: float) -> None:
        """Begin to answer a request."""
        question.began_s = now_s
        self._pending[question] = None
        if question.kind is QuestionKind.DELETE:
            self._delete(question, is_tree=True, now_s=now_s)
        elif question.kind is QuestionKind.DELETE_ONE:
            self._delete(question, is_tree=False, now_s=now_s)
        else:
            if self.pacemakers[0].read_link is ReadLinkPhase.CLOSED:
                for pacemaker in self.pacemakers:
                    pacemaker.read_link = ReadLinkPhase.OPENING
                self._read_links.open_reads()
            self._begin_round(question, now_s)

    def drop(self, question: Question) -> None:
        """Drop a request that no longer needs an answer."""
        if self._pending.pop(question, self) is not self:
            self._abandon_requests(question)

    # What the connections report.

    def pulses_up(self, pacemaker_index: int, now_s: float) -> None:
        """Note that a Pacemaker's connection for pulses is up."""
        self.pacemakers[pacemaker_index].pulses_up(now_s)
        self.outboxes[pacemaker_index].came_up(self.writers.connected, now_s)

    def pulses_down(self, pacemaker_index: int, now_s: float) -> None:
        """Note that a Pacemaker's connection for pulses has ended."""
        self.pacemakers[pacemaker_index].pulses_down(now_s)
        self.outboxes[pacemaker_index].went_down(now_s)
        for question in list(self._deleting.values()):
            self._stop_awaiting(pacemaker_index, question, now_s)

    def item_acknowledged(
        self, pacemaker_index: int, item: OutgoingItem, now_s: float
    ) -> None:
        """Note that a Pacemaker has acknowledged a pulse or a delete."""
        self.outboxes[pacemaker_index].acknowledged(item)
        question = (
            self._deleting.get(item) if isinstance(item, OutgoingDelete) else None
        )
        if question is not None:
            self._stop_awaiting(pacemaker_index, question, now_s)

    def reads_up(self, pacemaker_index: int, now_s: float) -> None:
        """Note that a Pacemaker's connection for reads is up."""
        self.pacemakers[pacemaker_index].reads_up(now_s)
        for question in self._reads():
            if (
                pacemaker_index not in question.unanswered_by
                and pacemaker_index not in question.answers
            ):
                self._send(pacemaker_index, question)

    def reads_down(self, pacemaker_index: int, now_s: float) -> None:
        """Note that a Pacemaker's connection for reads has ended or failed."""
        self.pacemakers[pacemaker_index].reads_down(now_s)
        for question in self._reads():
            question.unanswered_by.discard(pacemaker_index)
            self._stop_awaiting(pacemaker_index, question, now_s)

    def answer(
        self, pacemaker_index: int, question: Question, answer: Answer, now_s: float
    ) -> None:
        """Use a Pacemaker's answer to a question."""
        self.pacemakers[pacemaker_index].is_slow = False
        if question not in self._pending:
            return
        question.unanswered_by.discard(pacemaker_index)
        question.awaited.discard(pacemaker_index)
        question.answers[pacemaker_index] = answer
        # Of a held question too: a Pacemaker that holds its reads answers late.
        self._conclude_if_over(question, now_s)

    def late_answer(self, pacemaker_index: int, asked_s: float, now_s: float) -> None:
        """Note that a Pacemaker has answered a question that was concluded before.

        While a Pacemaker is slow, no read waits for it, so this may be how all of its
        answers come.  An answer that was too late says nothing about the next one.

        Args:
            pacemaker_index: the Pacemaker.
            asked_s: when the question was asked.
            now_s: the time.
        """
        if now_s - asked_s <= limits.ANSWER_TIMEOUT_S:
            self.pacemakers[pacemaker_index].is_slow = False

    # The clock.

    @property
    def next_s(self) -> float | None:
        """When `tick` has to be called; None for never."""
        if self._unswept:
            return float("-inf")
        times = [outbox.next_s for outbox in self.outboxes]
        times.append(self.writers.next_s)
        times.append(self._timers[0][0] if self._timers else None)
        return min((time_s for time_s in times if time_s is not None), default=None)

    def tick(self, now_s: float) -> None:
        """Repeat, expire and ask again what is scheduled up to now."""
        for outbox in self.outboxes:
            outbox.tick(self.writers.connected, now_s)
        for key in self.writers.pop_gone(now_s):
            self._newest_pulses.forget(key)
            for outbox in self.outboxes:
                outbox.drop(key)
        self._sweep()
        asked_again = 0
        while self._timers and self._timers[0][0] <= now_s:
            next_s, _, question = heapq.heappop(self._timers)
            if question not in self._pending or question.next_s != next_s:
                continue
            if not question.is_held:
                self._conclude_if_over(question, now_s)
            elif asked_again < limits.MAX_ASKED_AGAIN_AT_ONCE:
                asked_again += 1
                self._begin_round(question, now_s)
            else:
                self._look_again_at(question, now_s + limits.ASK_AGAIN_AFTER_S)

    # Deletes.

    def _delete(self, question: Question, is_tree: bool, now_s: float) -> None:
        delete = question.delete = OutgoingDelete(question.path, is_tree, now_s)
        self.answered_times.forget(question.path)
        question.awaited = {
            index for index, outbox in enumerate(self.outboxes) if outbox.is_up
        }
        self._deleting[delete] = question
        for outbox in self.outboxes:
            outbox.delete(delete)
        if not is_tree:
            self._forget_if_deleted(question.path)
        elif self._unswept:
            self._sweeps_again = True
        else:
            self._unswept = list(self.writers.connected)
        question.round_s = now_s
        self._conclude_if_over(question, now_s)

    def _sweep(self) -> None:
        """Forget some of the keys that deletes of trees have removed.

        Otherwise a connection that writes and deletes one key after another would leave
        all of them here.  A worker that is still alive writes its key again.
        """
        for key in self._unswept[-limits.SWEPT_AT_ONCE :]:
            self._forget_if_deleted(key)
        del self._unswept[-limits.SWEPT_AT_ONCE :]
        if self._sweeps_again and not self._unswept:
            self._sweeps_again = False
            self._unswept = list(self.writers.connected)

    def _forget_if_deleted(self, key: str) -> None:
        # The inbox has the newest state.  A pulse that was written after the delete
        # follows as an event of its own.
        if self._newest_pulses.newest(key) is None:
            self.writers.forget(key)
            for outbox in self.outboxes:
                outbox.forget(key)

    # Reads.

    def _reads(self) -> list[Question]:
        return [question for question in self._pending if question.kind.is_read]

    def _begin_round(self, question: Question, now_s: float) -> None:
        """Ask all Pacemakers but those that have yet to answer this question."""
        question.round_s = now_s
        question.is_held = False
        question.answers = {}
        question.awaited = {
            index
            for index, pacemaker in enumerate(self.pacemakers)
            if pacemaker.read_link is ReadLinkPhase.OPENING
            or (pacemaker.read_link is ReadLinkPhase.UP and not pacemaker.is_slow)
        }
        for index, pacemaker in enumerate(self.pacemakers):
            if (
                pacemaker.read_link is ReadLinkPhase.UP
                and index not in question.unanswered_by
            ):
                self._send(index, question)
        self._conclude_if_over(question, now_s)

    def _send(self, pacemaker_index: int, question: Question) -> None:
        question.unanswered_by.add(pacemaker_index)
        self._read_links.ask(pacemaker_index, question)

    def _stop_awaiting(
        self, pacemaker_index: int, question: Question, now_s: float
    ) -> None:
        if pacemaker_index in question.awaited:
            question.awaited.discard(pacemaker_index)
            self._conclude_if_over(question, now_s)

    def _conclude_if_over(self, question: Question, now_s: float) -> None:
        """Conclude a question if no answer is awaited any more, or time is up."""
        if question not in self._pending:
            return
        deadline_s = self._deadline_s(question, now_s)
        if question.awaited and now_s < deadline_s:
            self._look_again_at(question, deadline_s)
            return
        if question.kind.is_read:
            for index in question.awaited:
                self.pacemakers[index].is_slow = True
        question.awaited = set()
        self._conclude(question, now_s)

    def _deadline_s(self, question: Question, now_s: float) -> float:
        """Return until when to wait for the Pacemakers that have not answered."""
        is_hit = question.kind is QuestionKind.PULSE and question.has_hit
        if is_hit and not any(
            self.pacemakers[index].is_complete(now_s) for index in question.awaited
        ):
            return question.round_s + limits.HIT_GRACE_S
        return question.round_s + limits.ANSWER_TIMEOUT_S

    def _conclude(self, question: Question, now_s: float) -> None:
        answers = question.answers
        if question.kind is QuestionKind.PULSE:
            self._conclude_pulse_read(question, now_s)
        elif not question.kind.is_read:
            self._deliver(question, None)
        elif not answers:
            self._hold(question, now_s)
        elif question.kind is QuestionKind.EXISTS:
            self._deliver(question, any(answers.values()))
        else:
            lists = cast("dict[int, list[str]]", answers)
            self._deliver(question, combine_names(lists.values()))

    def _conclude_pulse_read(self, question: Question, now_s: float) -> None:
        result = combine_answers(
            cast("dict[int, bytes | None]", question.answers),
            self._indexes_of(lambda pacemaker: pacemaker.is_complete(now_s)),
            self._indexes_of(lambda pacemaker: pacemaker.may_know_newer(now_s)),
            self.answered_times.get(question.path),
            now_s - question.began_s >= limits.OLDER_HIT_HELD_S,
            self._time_of,
        )
        if result.outcome is ReadOutcome.HOLD:
            self._hold(question, now_s)
            return
        if result.outcome is ReadOutcome.HIT:
            self.answered_times.note(question.path, result.time_secs)
        self._deliver(question, result.value)

    def _indexes_of(self, test: Callable[[PacemakerState], bool]) -> frozenset[int]:
        return frozenset(
            index for index, pacemaker in enumerate(self.pacemakers) if test(pacemaker)
        )

    def _hold(self, question: Question, now_s: float) -> None:
        self.held_count += not question.was_held
        question.was_held = True
        question.is_held = True
        self._look_again_at(question, now_s + limits.ASK_AGAIN_AFTER_S)

    def _deliver(self, question: Question, answer: Answer) -> None:
        self._pending.pop(question, None)
        self._abandon_requests(question)
        question.deliver(answer)

    def _abandon_requests(self, question: Question) -> None:
        for index in question.unanswered_by:
            self._read_links.abandon(index, question)
        question.unanswered_by = set()
        if question.delete is not None:
            self._deleting.pop(question.delete, None)

    def _look_again_at(self, question: Question, at_s: float) -> None:
        if question.next_s != at_s:
            question.next_s = at_s
            heapq.heappush(self._timers, (at_s, next(self._timer_numbers), question))
