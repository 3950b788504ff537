"""SASL steps: at once where they are short, elsewhere where they are not.

A GSSAPI step may read files and take long, so it leaves the I/O thread; and
the answer to a host that has failed often waits, without any thread waiting
for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Final

from pacemaker.errors import AuthenticationError
from pacemaker.protocol import StepOutcome
from pacemaker.server.connection import Connection
from pacemaker.server.guesses import GuessBook

_logger: Final = logging.getLogger(__name__)

# Steps that are slow at the same time; more wait for these.
SLOW_STEPS: Final = 4


class StepRunner:
    """Takes the steps of all I/O threads.  Any thread may call any method."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Guards the book.
        self._lock = threading.Lock()
        self._guesses = GuessBook()
        self._slow: SimpleQueue[Connection | None] = SimpleQueue()
        self._helpers: list[threading.Thread] = []

    def take(self, connection: Connection) -> None:
        """Take the step that is due on a connection; called on its I/O thread."""
        if not connection.protocol.is_step_slow:
            self._finish(connection, connection.protocol.run_step())
            return
        with self._lock:
            if not self._helpers:
                self._start_helpers()
        self._slow.put(connection)

    def close(self) -> None:
        """End the helpers; a step that is under way is left to itself."""
        for _ in self._helpers:
            self._slow.put(None)

    def _start_helpers(self) -> None:
        for number in range(SLOW_STEPS):
            # A daemon thread: a step that hangs does not hold up the exit.
            helper = threading.Thread(
                target=self._help, name=f"pacemaker-sasl-{number}", daemon=True
            )
            self._helpers.append(helper)
            helper.start()

    def _help(self) -> None:
        while (connection := self._slow.get()) is not None:
            self._take_slowly(connection)

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
            outcome = AuthenticationError("the server could not take the step")
        connection.owner.call(partial(self._finish, connection, outcome))

    def _finish(self, connection: Connection, outcome: StepOutcome) -> None:
        """Hand the outcome over, after the delay of who failed often before."""
        host = connection.protocol.peer.rpartition(":")[0]
        now_s = self._clock()
        with self._lock:
            delay_s = self._guesses.delay_s(host, now_s)
            if isinstance(outcome, AuthenticationError):
                self._guesses.failed(host, now_s)
        if delay_s:
            connection.owner.call_later(
                delay_s, partial(self._answer, connection, host, outcome)
            )
        else:
            self._answer(connection, host, outcome)

    def _answer(self, connection: Connection, host: str, outcome: StepOutcome) -> None:
        if not connection.is_stepping:
            self._log_lost_failure(connection, outcome)
            return
        connection.protocol.finish_step(outcome)
        if connection.protocol.authenticated:
            _logger.info(
                "%s: authenticated as %s",
                connection.protocol.peer,
                connection.protocol.user,
            )
            with self._lock:
                self._guesses.succeeded(host)
        connection.finish_step()

    def _log_lost_failure(self, connection: Connection, outcome: StepOutcome) -> None:
        """Name who failed and did not wait to be told so."""
        if isinstance(outcome, AuthenticationError):
            _logger.warning("%s: closed: %s", connection.protocol.peer, outcome)
