"""SASL steps: short ones run at once, slow ones run on another thread.

A DIGEST step is short, so it runs at once on the I/O thread.  A GSSAPI step may read
files and take long, so a helper thread runs it.  The helpers serve the addresses in
turn, with one step per address at a time, so no address can occupy them all.

**Guessing.**  Every token is checked when it arrives, so a correct secret never waits
for wrong ones.  Only the outcome is delayed, and no thread blocks meanwhile:

* The outcome of a wrong guess (the connection is closed) is reported when its turn
  comes: one at a time for an address, each after the delay of `FailedLogins`.  Until
  then the connection stays open and silent, however long that takes, because closing it
  would give the outcome away.
* A success is reported after the same delay, or after half a second if that is shorter.
  If it were reported at once, a millisecond of silence would tell a guesser that the
  guess was wrong.

So an address is told of only a few wrong guesses a second.  What it can learn from
silence is bounded by the number of its connections, because each must stay open for the
delay.  (Checking only a few tokens a second would also bound what silence reveals.  But
then a correct secret would wait for all the wrong ones that arrived before it.)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from pacemaker.core.accounts.account import DEFAULT_LIMITS
from pacemaker.errors import (
    AuthenticationError,
    LimitError,
    PeerError,
    ServerFaultError,
)
from pacemaker.sasl.mechanism import StepOutcome
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.endings import ENDINGS, Ending
from pacemaker.server.io.fairness.fair_queue import FairQueue
from pacemaker.server.io.sasl_backoff import (
    FIRST_DELAY_S,
    MAX_RIGHT_DELAY_S,
    FailedLogins,
    RefusalQueue,
)

_logger: Final = logging.getLogger(__name__)

# The number of helper threads: how many slow steps run at the same time.
HELPER_THREADS: Final = 4
# How many slow steps of one address may wait.  One takes 0.1 ms, so a right token that
# comes after all of them waits for a fraction of a second.
MAX_SLOW_STEPS_OF_ADDRESS: Final = 1000
# How many slow steps of all addresses may wait; reached only if all helpers hang.
MAX_SLOW_STEPS: Final = 20_000

# Makes a thread from the function that it runs and its name.
ThreadFactory = Callable[[Callable[[], None], str], threading.Thread]


class _Refusal(NamedTuple):
    """A connection that failed to authenticate, and why."""

    connection: Connection
    error: AuthenticationError


class SaslStepRunner:
    """Runs the steps of all I/O threads.  Any thread may call any method.

    Args:
        clock: returns monotonic seconds.
        make_thread: makes the helper threads.
        guesses_per_s: the highest rate at which an address is told of failures.

    Attributes:
        succeeded: the number of exchanges that succeeded.
        failed: the number of exchanges that failed.
        delayed: the number of outcomes, right or wrong, that were not told at once.
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
        self._failed_logins = FailedLogins(1 / guesses_per_s)
        self._refusals: RefusalQueue[_Refusal] = RefusalQueue()
        self._slow: FairQueue[Connection] = FairQueue(
            MAX_SLOW_STEPS_OF_ADDRESS, MAX_SLOW_STEPS
        )
        self._helpers: list[threading.Thread] = []
        self._is_closed = False
        self.succeeded = self.failed = 0
        self.delayed = 0

    def run_step(self, connection: Connection) -> None:
        """Run a connection's pending step.  Call it on the connection's I/O thread."""
        step = connection.protocol.sasl_step
        if step is None or not step.is_slow:
            self._finish(connection, None if step is None else step.run())
            return
        with self._lock:
            problem = self._start_helpers()
            is_served = bool(self._helpers)
            is_queued = is_served and self._slow.put(_address(connection), connection)
            is_full = self._slow.is_full
            if is_queued:
                self._lock.notify()
        if problem is not None:
            _logger.error("SASL: %s", problem)
        # Close at once.  The step was not run, so this gives nothing away about the
        # token, and the client may try again.
        if not is_served:
            error: PeerError = ServerFaultError("the server has no thread for SASL")
            connection.end(Ending.NO_SASL_STEP, error)
        elif not is_queued:
            whose = "all addresses" if is_full else "its address"
            error = LimitError(f"too many SASL steps of {whose} wait")
            connection.end(Ending.NO_SASL_STEP, error)

    def close(self) -> None:
        """End the helpers, without waiting for a step that is still running."""
        with self._lock:
            self._is_closed = True
            self._lock.notify_all()

    # Slow steps.

    def _start_helpers(self) -> str | None:
        """Start the missing helpers; return an error if one cannot be started.

        The process may have no room for a thread now and have room later.  So a helper
        joins the list only once it runs, and each slow step tries again.
        """
        while len(self._helpers) < HELPER_THREADS:
            name = f"pacemaker-sasl-{len(self._helpers)}"
            helper = self._make_thread(self._help, name)
            try:
                helper.start()
            except (RuntimeError, MemoryError) as exc:
                return (
                    f"cannot start the thread {name}: {exc}; {len(self._helpers)} of"
                    f" {HELPER_THREADS} run.  Raise the limit of tasks (TasksMax= of"
                    " the unit, ulimit -u)"
                )
            self._helpers.append(helper)
        return None

    def _help(self) -> None:
        while (step := self._next_step()) is not None:
            address, connection = step
            try:
                self._take_slowly(connection)
            except Exception:
                # An error in one step must not end the helper that serves all others.
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
        # The connection belongs to another thread and may end right after this check,
        # so `_answer` checks again on the I/O thread.
        step = connection.protocol.sasl_step
        if step is None or not connection.is_stepping:
            return
        outcome: StepOutcome
        try:
            outcome = step.run()
        except Exception:
            _logger.exception("%s: SASL step failed", connection.protocol.peer)
            outcome = ServerFaultError("internal error in a SASL step")
        connection.owner.call(partial(self._finish, connection, outcome))

    # Outcomes; called on the I/O thread of the connection.

    def _finish(self, connection: Connection, outcome: StepOutcome) -> None:
        """Deliver the outcome, now or later; see the module's docstring."""
        if isinstance(outcome, ServerFaultError):
            # This gives nothing away about the token.
            self._answer(connection, outcome)
        elif isinstance(outcome, AuthenticationError):
            self._fail(connection, outcome)
        elif (step := connection.protocol.sasl_step) is not None and step.is_last:
            self._succeed(connection, outcome)
        else:
            # A challenge is no answer to a guess.
            self._answer(connection, outcome)

    def _succeed(self, connection: Connection, outcome: StepOutcome) -> None:
        address = _address(connection)
        with self._lock:
            delay_s = self._failed_logins.delay_s(address, self._clock())
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
            delay_s = self._failed_logins.delay_s(address, self._clock())
            has_turn = self._refusals.add(address, refusal)
            self.delayed += is_awaited and (delay_s > 0 or not has_turn)
        if not is_awaited:
            self._drop(refusal)
            return
        if has_turn and not delay_s:
            self._refuse(refusal)
            return
        connection.withhold_refusal(partial(self._drop, refusal))
        if has_turn:
            self._await_turn(refusal, delay_s)

    def _await_turn(self, refusal: _Refusal, delay_s: float) -> None:
        owner = refusal.connection.owner
        owner.call_later(delay_s, partial(self._refuse, refusal))

    def _refuse(self, refusal: _Refusal) -> None:
        """Tell the peer of a refusal that has its turn."""
        try:
            self._answer(*refusal)
        finally:
            # Even after an error, as the other refusals of the address wait for this.
            self._pass_turn_on(refusal)

    def _drop(self, refusal: _Refusal) -> None:
        """Drop a refusal whose connection ended before it was told."""
        if self._pass_turn_on(refusal):
            peer = refusal.connection.protocol.peer
            ENDINGS[Ending.PEER_ERROR].log(_logger, peer, refusal.error)

    def _pass_turn_on(self, refusal: _Refusal) -> bool:
        """Count a refusal and pass its turn to the next one of its address.

        Returns:
            False if that was already done.  A connection can end in several ways.
        """
        address = _address(refusal.connection)
        with self._lock:
            now_s = self._clock()
            had_turn = self._refusals.first(address) is refusal
            if not self._refusals.discard(address, refusal):
                return False
            following = self._refusals.first(address) if had_turn else None
            # Count the failure now and not when it was judged.  Otherwise an address
            # whose refusals wait longer than `MEMORY_S` would be forgotten.
            self._failed_logins.failed(address, now_s)
            delay_s = max(FIRST_DELAY_S, self._failed_logins.delay_s(address, now_s))
        if following is not None:
            # The next connection may belong to another thread.
            call = partial(self._await_turn, following, delay_s)
            following.connection.owner.call(call)
        return True

    def _answer(self, connection: Connection, outcome: StepOutcome) -> None:
        if not connection.is_stepping:
            return
        output = connection.protocol.finish_step(outcome)
        if connection.protocol.authenticated:
            _logger.info(
                "%s: authenticated as %s",
                connection.protocol.peer,
                connection.protocol.user,
            )
            self._forgive(_address(connection))
        connection.finish_step(output)

    def _forgive(self, address: str) -> None:
        with self._lock:
            self.succeeded += 1
            # Not while refusals wait.  They may belong to somebody else behind the same
            # address, who would gain some undelayed guesses from each success.
            if self._refusals.first(address) is None:
                self._failed_logins.succeeded(address)


def _address(connection: Connection) -> str:
    return connection.account.address_account.name


def _daemon_thread(run: Callable[[], None], name: str) -> threading.Thread:
    # A daemon thread, so that a step that hangs does not delay the exit.
    return threading.Thread(target=run, name=name, daemon=True)
