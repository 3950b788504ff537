"""Each way in which the server ends a connection, and what follows from it.

`ENDINGS` is the whole list.  A connection ends through `Connection.end`, except for
those that an upgrade does not carry over: `execve`, or the process after it, closes
their descriptors.  A socket that never became a connection ends through
`Acceptor._admit`, or through `IoThread._close_unopened` once the acceptor has handed it
over.

Two endings may meet: a peer resets the connection before it has taken its refusal, say.
Then the first one is logged and counted, and the last one decides how the socket is
closed.  There are two exceptions.  A `FAULT` is always logged, even if the connection
is closed already, or a bug in the daemon might go unnoticed; it is counted, instead of
the first one, unless the connection is closed already.  And while an I/O thread stops,
everything else counts as `STOPPED`.

This module does no I/O.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from pacemaker.core.figures import Figures
from pacemaker.core.history.record import ConnectionEnd


class Ending(Enum):
    """Why a connection ended."""

    # Of connections.
    FINISHED = "finished"
    PEER_LEFT = "peer left"
    PEER_ERROR = "peer error"
    OVERDUE = "overdue"
    EVICTED = "evicted"
    NO_SASL_STEP = "no SASL step"
    MADE_ROOM = "made room"
    STOPPED = "stopped"
    FAULT = "fault"

    # Of sockets that never became a connection.
    NOT_ADMITTED = "not admitted"
    NOT_OPENED = "not opened"
    TOO_LATE = "too late"

    # Of connections that an upgrade does not carry over.
    LEFT_BEHIND = "left behind"
    RIGHTS_CHANGED = "rights changed"
    STATE_LOST = "state lost"


class ReplyFlush(Enum):
    """Which replies are sent before the connection is closed."""

    NONE = "none"
    ALL = "all"
    # A peer that does not take its replies would delay the end, possibly for ever.  If
    # some wait for it already, the socket is reset, whatever `CloseMode` says.
    UNLESS_STUCK = "all; if some wait for the peer already, none, and a reset"


class CloseMode(Enum):
    """How the socket is closed (see "Why connections end with a reset" in the docs)."""

    RESET = "reset"
    FIN = "FIN"
    # For a while, whatever still arrives is discarded: closing with unread bytes would
    # cause a reset, which destroys replies that are still in transit.  If the peer has
    # ended its stream, the socket is closed at once.
    LINGER = "FIN, then lingers"


class EndingRule(NamedTuple):
    """What an ending means.

    No code reads `decided_by`, `when` and `replies`: they say what happens elsewhere,
    mostly in `Connection`.  The tests end connections in each way, and compare these
    fields with what the peer receives and with the table in docs/design.md.

    Attributes:
        decided_by: who decides it.
        when: in which case.
        replies: which replies are sent before.
        close: how the socket is closed.
        level: the level of the log line; None for no line.
        text: its format; for most, with the peer's name and the reason.
        counter: the figure that counts it; None for no figure of its own.  Each ending
            through `Connection.end` is counted as `ended` too.
        history: how the history records it; None if the history is not told.
        level_if_silent: the level for a peer whose connection was not logged; None if
            it is the same.
    """

    decided_by: str
    when: str
    replies: ReplyFlush
    close: CloseMode
    level: int | None
    text: str
    counter: str | None
    history: ConnectionEnd | None
    level_if_silent: int | None = None

    def log(
        self,
        logger: logging.Logger,
        *values: object,
        is_silent: bool = False,
        exc_info: bool = False,
    ) -> None:
        """Write the log line, if there is one.

        Args:
            logger: where to.
            values: for the placeholders in `text`.
            is_silent: whether the connection was not logged when it began.
            exc_info: whether to add the traceback of the exception being handled.
        """
        level = self.level
        if is_silent and self.level_if_silent is not None:
            level = self.level_if_silent
        if level is not None:
            logger.log(level, self.text, *values, exc_info=exc_info)


_BY_PEER: Final = "%s: ended by the peer: %s"
_CLOSED: Final = "%s: closed: %s"
_FAILED: Final = "%s: closed: internal error"


def _left_by_peer_rule(
    when: str, replies: ReplyFlush, close: CloseMode, history: ConnectionEnd
) -> EndingRule:
    return EndingRule(
        decided_by="peer",
        when=when,
        replies=replies,
        close=close,
        level=logging.INFO,
        text=_BY_PEER,
        counter=None,
        history=history,
        level_if_silent=logging.DEBUG,
    )


def _refusal_rule(
    decided_by: str, when: str, replies: ReplyFlush, close: CloseMode
) -> EndingRule:
    return EndingRule(
        decided_by=decided_by,
        when=when,
        replies=replies,
        close=close,
        level=logging.WARNING,
        text=_CLOSED,
        counter="ended_refused",
        history=ConnectionEnd.REFUSED,
    )


def _reset_rule(
    decided_by: str,
    when: str,
    level: int | None,
    text: str,
    counter: str | None = None,
    history: ConnectionEnd | None = None,
) -> EndingRule:
    return EndingRule(
        decided_by=decided_by,
        when=when,
        replies=ReplyFlush.NONE,
        close=CloseMode.RESET,
        level=level,
        text=text,
        counter=counter,
        history=history,
    )


ENDINGS: Final[Mapping[Ending, EndingRule]] = {
    Ending.FINISHED: _left_by_peer_rule(
        when="end of stream; every request is answered",
        replies=ReplyFlush.ALL,
        close=CloseMode.FIN,
        history=ConnectionEnd.FIN,
    ),
    Ending.PEER_LEFT: _left_by_peer_rule(
        when="a reset, or a failed read or write",
        replies=ReplyFlush.NONE,
        close=CloseMode.RESET,
        history=ConnectionEnd.RESET,
    ),
    Ending.PEER_ERROR: _refusal_rule(
        decided_by="`ServerProtocol`",
        when="the peer broke the protocol, or failed to authenticate",
        replies=ReplyFlush.ALL,
        close=CloseMode.LINGER,
    ),
    Ending.OVERDUE: _refusal_rule(
        decided_by="`Deadlines`",
        when="out of time",
        replies=ReplyFlush.UNLESS_STUCK,
        close=CloseMode.LINGER,
    ),
    Ending.EVICTED: _refusal_rule(
        decided_by="`BufferBudget`, which counts it as `evictions` too",
        when="all buffers are full",
        replies=ReplyFlush.UNLESS_STUCK,
        close=CloseMode.LINGER,
    ),
    Ending.NO_SASL_STEP: _refusal_rule(
        decided_by="`SaslStepRunner`, counted as `refused_steps` too",
        when="no thread for its SASL step, or too many steps wait",
        replies=ReplyFlush.UNLESS_STUCK,
        close=CloseMode.LINGER,
    ),
    # It has not sent anything for long, or lingers, so there is nothing to lose; or it
    # has sent so much that others have to wait.
    Ending.MADE_ROOM: _refusal_rule(
        decided_by="`AdmissionControl`, counted as `closed_for_room` too",
        when="its descriptor is needed for a new connection",
        replies=ReplyFlush.NONE,
        close=CloseMode.FIN,
    ),
    Ending.STOPPED: EndingRule(
        decided_by="`Stop`",
        when="a stop, once `drain` has answered what came or the time is up",
        replies=ReplyFlush.ALL,
        close=CloseMode.RESET,
        level=None,
        text="",
        counter="ended_by_stop",
        history=ConnectionEnd.STOPPED,
    ),
    Ending.FAULT: _reset_rule(
        decided_by="`IoThread`",
        when="an exception in our own code",
        level=logging.ERROR,
        text=_FAILED,
        counter="ended_by_fault",
        history=ConnectionEnd.RESET,
    ),
    Ending.NOT_ADMITTED: _reset_rule(
        decided_by="`AdmissionControl`",
        when="no room for it, and none can be made; or past `--address-limit`",
        level=logging.WARNING,
        text="%s: refused: %s",
        counter="refused_connections",
    ),
    Ending.NOT_OPENED: _reset_rule(
        decided_by="`Acceptor` or `IoThread`",
        when="an exception, before it was a connection",
        level=logging.ERROR,
        text=_FAILED,
    ),
    Ending.TOO_LATE: _reset_rule(
        decided_by="`IoThread`", when="a stop has begun", level=None, text=""
    ),
    Ending.LEFT_BEHIND: _reset_rule(
        decided_by="`Upgrader`",
        when="amid a SASL exchange, ending, or in a very large frame",
        level=logging.INFO,
        text="upgrade: resetting %s",
    ),
    Ending.RIGHTS_CHANGED: _reset_rule(
        decided_by="`inherit`, after an upgrade",
        when="the security settings have changed",
        level=logging.WARNING,
        text="security settings changed: resetting %s",
    ),
    Ending.STATE_LOST: _reset_rule(
        decided_by="`inherit`, after an upgrade",
        when="the state cannot be read",
        level=logging.ERROR,
        text="upgraded, but started empty and reset every connection: %s",
    ),
}


# Figures of a single ending, which count it besides the figure of its rule.
OWN_FIGURES: Final[Mapping[Ending, str]] = {
    Ending.MADE_ROOM: "closed_for_room",
    Ending.NO_SASL_STEP: "refused_steps",
}


def count_end(
    figures: Figures, ending: Ending, is_stopping: bool
) -> ConnectionEnd | None:
    """Count the end of a connection.

    Args:
        figures: the counters of its thread.
        ending: why it ended.
        is_stopping: whether the thread stops.

    Returns:
        How the history records the end; None if it does not.
    """
    is_stop = is_stopping and ending is not Ending.FAULT
    rule = ENDINGS[Ending.STOPPED if is_stop else ending]
    figures.connections -= 1
    figures.ended += 1
    for name in (rule.counter, OWN_FIGURES.get(ending)):
        if name is not None:
            setattr(figures, name, getattr(figures, name) + 1)
    return rule.history
