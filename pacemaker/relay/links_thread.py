"""The links' thread: it connects the relay's core with all Pacemakers.

It is separate from the I/O threads, so that a large reply or a heartbeat that has to be
decompressed delays no worker.  A pulse is acknowledged before this thread sees it.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from pacemaker.client import requests
from pacemaker.client.address import ServerAddress
from pacemaker.heartbeats.codec import time_secs_of
from pacemaker.relay.backend import ANNOUNCEMENT
from pacemaker.relay.core.outbox import Outbox
from pacemaker.relay.core.pacemaker_state import PacemakerState
from pacemaker.relay.core.question import Question
from pacemaker.relay.core.relay import Relay
from pacemaker.relay.inbox import Dropped, Inbox, InboxEvent, KeyWritten, QuestionAsked
from pacemaker.relay.link import Link, ProofRequests
from pacemaker.relay.senders import PulseSender, ReadSender
from pacemaker.sasl.mechanism import ClientMechanismFactory
from pacemaker.server.measurements import PacemakerMeasurements
from pacemaker.wakeup import WakeUp

_logger: Final = logging.getLogger(__name__)

# How long the thread waits after a turn that failed as a whole.
_FAILED_TURN_PAUSE_S: Final = 0.1
# If a turn comes later than this, the process was paused or had no CPU time.
_LATE_S: Final = 0.5


class LinksThread(threading.Thread):
    """The links to all Pacemakers.

    Args:
        addresses: where the Pacemakers are.
        make_inbox: makes the inbox, from the function that wakes this thread.
        relay_id: the relay's id, for its announcement.
        max_body_bytes: pacemaker.thrift.message.size.max.
        mechanism_factory: authenticates the relay for reads; None if it need not.
        clock: returns monotonic seconds.

    Attributes:
        relay: the relay's decisions; only this thread calls it.
        inbox: where the I/O threads put events.
        relay_id: the relay's id.
    """

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        make_inbox: Callable[[Callable[[], None]], Inbox],
        relay_id: str,
        max_body_bytes: int,
        mechanism_factory: ClientMechanismFactory | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="pacemaker-links", daemon=True)
        self.now = clock
        self.relay_id = relay_id
        self._calls: deque[Callable[[], None]] = deque()
        self._is_stopping = False
        self._is_over = False
        self._epoll = select.epoll()
        self._wake_up = WakeUp()
        self._epoll.register(self._wake_up.fd, select.EPOLLIN)
        self._by_fd: dict[int, Link] = {}
        self.inbox = make_inbox(self.wake)
        self.relay = Relay(len(addresses), self, self.inbox, time_secs_of)
        self.addresses = tuple(addresses)
        announcement = requests.create_path(ANNOUNCEMENT + relay_id)
        read_right = requests.exists(ANNOUNCEMENT + relay_id)
        self.pulse_senders = [PulseSender(n, self) for n in range(len(addresses))]
        self.read_senders = [ReadSender(n, self) for n in range(len(addresses))]
        for address, pulses, reads in zip(
            addresses, self.pulse_senders, self.read_senders, strict=True
        ):
            pulses.link = Link(
                name=f"{address} (pulses)",
                address=address,
                owner=self,
                user=pulses,
                proof=ProofRequests(announcement),
                max_body_bytes=max_body_bytes,
            )
            reads.link = Link(
                name=f"{address} (reads)",
                address=address,
                owner=self,
                user=reads,
                proof=ProofRequests(announcement, read_right),
                max_body_bytes=max_body_bytes,
                mechanism_factory=mechanism_factory,
            )
        self._links = [
            *(sender.link for sender in self.pulse_senders),
            *(sender.link for sender in self.read_senders),
        ]

    # What any thread may call.

    def wake(self) -> None:
        """Have the thread look at its inbox."""
        self._wake_up.wake()

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call on this thread.  After `close` it runs at once."""
        self._calls.append(function)
        if self._is_over:
            self._run_calls()
        else:
            self.wake()

    def stop(self) -> None:
        """End the thread after it has passed on what is in its inbox."""
        self._is_stopping = True
        self.wake()

    def close(self) -> None:
        """Close everything, once the thread has ended."""
        for link in self._links:
            link.close()
        # A thread that is still connecting delivers its socket after this, and that
        # socket must be closed.  `_is_over` is set first: a call that was queued before
        # it runs here, and a later one runs at once.
        self._is_over = True
        self._run_calls()
        self._epoll.close()
        self._wake_up.close()

    # What the links call.

    def run_aside(self, function: Callable[[], None], name: str) -> None:
        """Run a function on a thread of its own."""
        threading.Thread(target=function, name=name, daemon=True).start()

    def register(self, link: Link, fd: int) -> None:
        """Wait for the events of a socket."""
        self._epoll.register(fd, select.EPOLLIN)
        self._by_fd[fd] = link

    def set_interest(self, fd: int, events: int) -> None:
        """Change the events that are waited for."""
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Stop waiting for events."""
        if self._by_fd.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    # What the relay's core calls.

    def open_pulses(self) -> None:
        """Open the links for pulses; before the thread is started."""
        for sender in self.pulse_senders:
            sender.link.open()

    def open_reads(self) -> None:
        """Open the links for reads."""
        for sender in self.read_senders:
            sender.link.open()

    def ask(self, pacemaker_index: int, question: Question) -> None:
        """Send a question to a Pacemaker."""
        self.read_senders[pacemaker_index].ask(question)

    def abandon(self, pacemaker_index: int, question: Question) -> None:
        """Abandon a question that was sent to a Pacemaker."""
        self.read_senders[pacemaker_index].abandon(question)

    # The loop.

    def run(self) -> None:
        """Serve until `stop`.  An error in one turn does not end the loop."""
        while not self._is_stopping:
            try:
                self.turn()
            except Exception:
                _logger.exception("%s: a turn failed", self.name)
                time.sleep(_FAILED_TURN_PAUSE_S)
        # Pass on what came last: a worker that stops deletes its key, and the delete
        # would be lost.
        self._attempt(self._pass_on)

    def turn(self) -> None:
        """Wait for the next events and handle them."""
        timeout_s = self._timeout_s()
        planned_s = None if timeout_s is None else self.now() + timeout_s
        ready = self._epoll.poll(timeout_s)
        if planned_s is not None and (late_s := self.now() - planned_s) > _LATE_S:
            # The Pacemakers are not to blame for the time in which this process did
            # not run.
            for delayed in self._links:
                delayed.postpone(late_s)
        for fd, events in ready:
            if fd == self._wake_up.fd:
                self._wake_up.clear()
                continue
            link = self._by_fd.get(fd)
            if link is not None:
                link.guard(partial(link.on_event, events))
        self._run_calls()
        self.process_events()
        now_s = self.now()
        for link in self._links:
            link.guard(partial(link.tick, now_s))
        self._attempt(partial(self.relay.tick, now_s))
        self._send()

    def _run_calls(self) -> None:
        # Several threads may be here once the links are closed.
        with contextlib.suppress(IndexError):
            while True:
                self._attempt(self._calls.popleft())

    def _send(self) -> None:
        for pulses in self.pulse_senders:
            pulses.link.guard(pulses.on_room)
        for reads in self.read_senders:
            reads.link.guard(reads.link.flush)

    def _pass_on(self) -> None:
        self.process_events()
        self._send()

    def process_events(self) -> None:
        """Process what the I/O threads have put into the inbox."""
        for event in self.inbox.drain():
            self._attempt(partial(self._process, event))

    def describe(self) -> str:
        """Describe each Pacemaker in one line: since when it is up, what waits."""
        parts = []
        now_s = self.now()
        for address, pacemaker, outbox, pulses, reads in self._by_pacemaker():
            up_s = pacemaker.up_s
            state = (
                f"down ({pulses.link.problem})"
                if up_s is None
                else f"up_s={now_s - up_s:.0f}"
            )
            parts.append(
                f"{address} {state} complete={pacemaker.is_complete(now_s)}"
                f" reads={pacemaker.read_link.value}"
                f" waiting_pulses={outbox.waiting_pulses}"
                f" kept_deletes={outbox.waiting_deletes}"
                f" dropped_pulses={outbox.dropped_pulses}"
                f" dropped_deletes={outbox.dropped_deletes}"
                f" losses={pulses.link.losses + reads.link.losses}"
            )
        return f"pacemakers: {'; '.join(parts)}; held_reads={self.relay.held_count}"

    def measurements(self) -> list[PacemakerMeasurements]:
        """Return what is counted for each Pacemaker.  Any thread may call this."""
        now_s = self.now()
        return [
            PacemakerMeasurements(
                str(address),
                pacemaker.up_s is not None,
                pulses.up_since_s,
                pacemaker.is_complete(now_s),
                outbox.waiting_pulses,
                outbox.waiting_deletes,
                outbox.dropped_pulses,
                outbox.dropped_deletes,
                pulses.link.losses + reads.link.losses,
                tuple(pulses.latencies),
                pulses.latencies_s,
            )
            for address, pacemaker, outbox, pulses, reads in self._by_pacemaker()
        ]

    def _by_pacemaker(
        self,
    ) -> Iterator[
        tuple[ServerAddress, PacemakerState, Outbox, PulseSender, ReadSender]
    ]:
        return zip(
            self.addresses,
            self.relay.pacemakers,
            self.relay.outboxes,
            self.pulse_senders,
            self.read_senders,
            strict=True,
        )

    def _timeout_s(self) -> float | None:
        times = [link.next_s for link in self._links]
        times.append(self.relay.next_s)
        next_s = min((time_s for time_s in times if time_s is not None), default=None)
        return None if next_s is None else max(0.0, next_s - self.now())

    def _process(self, event: InboxEvent) -> None:
        if isinstance(event, KeyWritten):
            self.relay.pulse(event.key, event.writer)
        elif isinstance(event, QuestionAsked):
            self.relay.ask(event.question, self.now())
        elif isinstance(event, Dropped):
            self.relay.drop(event.question)
        else:
            self.relay.writer_left(event.writer, self.now())

    def _attempt(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            _logger.exception("%s: a call failed", self.name)
