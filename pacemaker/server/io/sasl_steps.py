"""SASL steps: at once if they are short, on another thread if they are not.

A step of DIGEST is short, so it is taken at once on the I/O thread.  A GSSAPI step
may read files and take long, so a helper thread takes it: one step of an address at
a time, the addresses in turn, so that no address keeps the helpers from the others.

**Guessing.**  Every token is judged when it comes, so a right secret never waits
for wrong ones.  What waits is the outcome, without any thread waiting for it:

* a wrong one is told (the connection is closed) when its turn comes, one at a time
  for an address, each after the delay of the `GuessBook`.  Until then the connection
  stays open and silent, however long that takes: closing it would tell.
* a right one is told after that delay too, but half a second at most.  If it were
  told at once, silence would tell a guesser within a millisecond that the guess was
  wrong.

So an address is told of a few wrong guesses a second.  What it can learn from
silence is bounded by its connections: each has to be left open for the delay.
(Judging only a few tokens a second would close that gap, but then a right secret
would wait behind the wrong ones that came before it.)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from pacemaker.core.accounts import DEFAULT_LIMITS
from pacemaker.core.addresses import address_name
from pacemaker.core.protocol import StepOutcome
from pacemaker.errors import AuthenticationError, LimitError, ServerFaultError
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.fair_queue import FairQueue
from pacemaker.server.io.sasl_backoff import (
    FIRST_DELAY_S,
    MAX_RIGHT_DELAY_S,
    GuessBook,
    RefusalQueue,
)

_logger: Final = logging.getLogger(__name__)

# Helpers: how many slow steps are under way at the same time.
SLOW_STEPS: Final = 4
# Slow steps of one address that wait.  One takes 0.1 ms, so a right token behind all
# of them waits for a fraction of a second.
MAX_SLOW_STEPS_OF_ADDRESS: Final = 1000
# Slow steps of all addresses that wait: what there may be only if all helpers hang.
MAX_SLOW_STEPS: Final = 20_000

# Makes a thread: of what it runs and its name.
ThreadFactory = Callable[[Callable[[], None], str], threading.Thread]


class _Refusal(NamedTuple):
    """A connection that failed, and why."""

    connection: Connection
    error: AuthenticationError


class StepRunner:
    """Takes the steps of all I/O threads.  Any thread may call any method.

    Args:
        clock: seconds that only grow.
        make_thread: makes the helpers.
        guesses_per_s: how many failures an address is told of at most.

    Attributes:
        failed: how many exchanges have failed.
        delayed: how many outcomes were not told at once, right and wrong ones.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        make_thread: ThreadFactory | None = None,
        guesses_per_s: float = DEFAULT_LIMITS.guesses_per_s,
    ) -> None:
        self._clock = clock
        self._make_thread = make_thread or _daemon_thread
        # Guards all below; the condition also wakes the helpers.
        self._lock = threading.Condition()
        self._guesses = GuessBook(1 / guesses_per_s)
        self._refusals: RefusalQueue[_Refusal] = RefusalQueue()
        self._slow: FairQueue[Connection] = FairQueue(
            MAX_SLOW_STEPS_OF_ADDRESS, MAX_SLOW_STEPS
        )
        self._helpers: list[threading.Thread] = []
        self._is_closed = False
        self.failed = 0
        self.delayed = 0

    def take(self, connection: Connection) -> None:
        """Take the step that is due on a connection; called on its I/O thread."""
        if not connection.protocol.is_step_slow:
            self._finish(connection, connection.protocol.run_step())
            return
        with self._lock:
            problem = self._start_helpers()
            is_served = bool(self._helpers)
            is_queued = is_served and self._slow.put(_address(connection), connection)
            if is_queued:
                self._lock.notify()
        if problem is not None:
            _logger.error("SASL: %s", problem)
        # Closed at once: the step was not taken, so this tells nothing about the
        # token, and the client may come again.
        if not is_served:
            connection.refuse(ServerFaultError("the server has no thread for SASL"))
        elif not is_queued:
            connection.refuse(LimitError("too many SASL steps of its address wait"))

    def close(self) -> None:
        """End the helpers; a step that is under way is left to itself."""
        with self._lock:
            self._is_closed = True
            self._lock.notify_all()

    # Slow steps.

    def _start_helpers(self) -> str | None:
        """Start the helpers that are missing; return why one cannot be started.

        The process may have no room for a thread now, and have it later: so a helper
        is in the list only once it runs, and each slow step tries again.
        """
        while len(self._helpers) < SLOW_STEPS:
            name = f"pacemaker-sasl-{len(self._helpers)}"
            helper = self._make_thread(self._help, name)
            try:
                helper.start()
            except (RuntimeError, MemoryError) as exc:
                return (
                    f"cannot start the thread {name}: {exc}; {len(self._helpers)} of"
                    f" {SLOW_STEPS} run.  Raise the limit of tasks (TasksMax= of the"
                    " unit, ulimit -u)"
                )
            self._helpers.append(helper)
        return None

    def _help(self) -> None:
        while (step := self._next_step()) is not None:
            address, connection = step
            try:
                self._take_slowly(connection)
            except Exception:
                # No error of one step may end the helper of all others.
                _logger.exception("SASL: a step failed")
            finally:
                with self._lock:
                    self._slow.done(address)
                    self._lock.notify()

    def _next_step(self) -> tuple[str, Connection] | None:
        with self._lock:
            while not self._is_closed:
                step = self._slow.begin()
                if step is not None:
                    return step
                self._lock.wait()
        return None

    def _take_slowly(self, connection: Connection) -> None:
        # The connection is not this thread's: what is seen here may be over
        # in a moment, and `_answer` looks again.
        if not connection.is_stepping:
            return
        outcome: StepOutcome
        try:
            outcome = connection.protocol.run_step()
        except Exception:
            _logger.exception("%s: SASL step failed", connection.protocol.peer)
            outcome = ServerFaultError("the server could not take the step")
        connection.owner.call(partial(self._finish, connection, outcome))

    # Outcomes; called on the I/O thread of the connection.

    def _finish(self, connection: Connection, outcome: StepOutcome) -> None:
        """Tell the outcome, now or later; see the module's docstring."""
        if isinstance(outcome, ServerFaultError):
            # Says nothing about the token.
            self._answer(connection, outcome)
        elif isinstance(outcome, AuthenticationError):
            self._fail(connection, outcome)
        elif connection.protocol.is_step_last:
            self._succeed(connection, outcome)
        else:
            # A challenge is no answer to a guess.
            self._answer(connection, outcome)

    def _succeed(self, connection: Connection, outcome: StepOutcome) -> None:
        address = _address(connection)
        with self._lock:
            delay_s = self._guesses.delay_s(address, self._clock())
            delay_s = min(delay_s, MAX_RIGHT_DELAY_S)
            self.delayed += bool(delay_s)
        if delay_s:
            connection.owner.call_later(
                delay_s, partial(self._answer, connection, outcome)
            )
        else:
            self._answer(connection, outcome)

    def _fail(self, connection: Connection, error: AuthenticationError) -> None:
        address = _address(connection)
        refusal = _Refusal(connection, error)
        is_awaited = connection.is_stepping
        with self._lock:
            self.failed += 1
            delay_s = self._guesses.delay_s(address, self._clock())
            has_turn = self._refusals.add(address, refusal)
            self.delayed += is_awaited and (delay_s > 0 or not has_turn)
        if not is_awaited:
            self._drop(refusal)
            return
        if has_turn and not delay_s:
            self._refuse(refusal)
            return
        connection.await_refusal(partial(self._drop, refusal))
        if has_turn:
            self._await_turn(refusal, delay_s)

    def _await_turn(self, refusal: _Refusal, delay_s: float) -> None:
        owner = refusal.connection.owner
        owner.call_later(delay_s, partial(self._refuse, refusal))

    def _refuse(self, refusal: _Refusal) -> None:
        """Tell a refusal whose turn it is."""
        try:
            self._answer(*refusal)
        finally:
            # Whatever went wrong with this one: the others wait for it.
            self._pass_turn_on(refusal)

    def _drop(self, refusal: _Refusal) -> None:
        """Forget a refusal whose connection has ended before it was told."""
        if self._pass_turn_on(refusal):
            peer = refusal.connection.protocol.peer
            _logger.warning("%s: closed: %s", peer, refusal.error)

    def _pass_turn_on(self, refusal: _Refusal) -> bool:
        """Count a refusal, and give its turn to the next one of its address.

        Returns:
            False if that has been done: a connection can end in several ways.
        """
        address = _address(refusal.connection)
        with self._lock:
            now_s = self._clock()
            had_turn = self._refusals.first(address) is refusal
            if not self._refusals.discard(address, refusal):
                return False
            following = self._refusals.first(address) if had_turn else None
            # Counted now and not when it was judged, so that an address whose
            # refusals wait for longer than the book remembers is not forgotten.
            self._guesses.failed(address, now_s)
            delay_s = max(FIRST_DELAY_S, self._guesses.delay_s(address, now_s))
        if following is not None:
            # The next one's connection may be another thread's.
            call = partial(self._await_turn, following, delay_s)
            following.connection.owner.call(call)
        return True

    def _answer(self, connection: Connection, outcome: StepOutcome) -> None:
        if not connection.is_stepping:
            return
        connection.protocol.finish_step(outcome)
        if connection.protocol.authenticated:
            _logger.info(
                "%s: authenticated as %s",
                connection.protocol.peer,
                connection.protocol.user,
            )
            self._forgive(_address(connection))
        connection.finish_step()

    def _forgive(self, address: str) -> None:
        with self._lock:
            # Not while wrong ones wait: they may be somebody else's behind the same
            # address, who would have some more guesses at once for each success.
            if self._refusals.first(address) is None:
                self._guesses.succeeded(address)


def _address(connection: Connection) -> str:
    return address_name(connection.protocol.peer.rpartition(":")[0])


def _daemon_thread(run: Callable[[], None], name: str) -> threading.Thread:
    # A daemon thread: a step that hangs does not hold up the exit.
    return threading.Thread(target=run, name=name, daemon=True)
