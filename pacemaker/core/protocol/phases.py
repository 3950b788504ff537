"""The phases of a connection, and the transitions between them.

All transitions are in one table, `TRANSITIONS`.  A connection without authentication
is OPEN from the start.  With authentication it begins in the phase that its mechanism
asks for: a DIGEST client first requests a token, a KERBEROS client sends one at once.

    REQUEST_EXPECTED:  ordinary message -> OPEN, token request -> STEPPING
    TOKEN_EXPECTED:    ordinary message -> OPEN, token -> STEPPING
    SASL_BEGUN:        ordinary message -> OPEN, token -> STEPPING
    STEPPING:          challenge -> SASL_BEGUN, completion -> OPEN
    OPEN:              ordinary message -> OPEN

From every phase, a failure leads to CLOSED, and nothing leads out of CLOSED.  A message
that is not listed for the current phase is refused, which is a failure.  No message is
read in STEPPING or CLOSED.

An ordinary message before the exchange is complete ends SASL on the connection for
good: the connection is served, but may never read, as in Storm's
``SaslStormServerHandler`` and ``KerberosSaslServerHandler``.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pacemaker.errors import OutOfPlaceError
from pacemaker.sasl.mechanism import ServerMechanism
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Message


class Phase(Enum):
    """What a connection expects next."""

    REQUEST_EXPECTED = "request-expected"
    TOKEN_EXPECTED = "token-expected"  # noqa: S105  (no password)
    SASL_BEGUN = "sasl-begun"
    STEPPING = "stepping"
    OPEN = "open"
    CLOSED = "closed"


class PhaseEvent(Enum):
    """What happens to a connection: a kind of message, or the outcome of a step."""

    ORDINARY = "ordinary message"
    TOKEN_REQUEST = "token request"  # noqa: S105  (no password)
    TOKEN = "token"  # noqa: S105  (no password)
    OTHER_CONTROL = "other control message"
    CHALLENGE = "challenge"
    COMPLETION = "completion"
    FAILURE = "failure"


_NOT_EXPECTED: Final = "SASL message outside of an exchange"
_TOO_EARLY: Final = "SASL token before the request for one"
_MISPLACED: Final = "control message out of place"

_AWAITING_TOKEN: Final[dict[PhaseEvent, Phase | str]] = {
    PhaseEvent.ORDINARY: Phase.OPEN,
    PhaseEvent.TOKEN_REQUEST: _MISPLACED,
    PhaseEvent.TOKEN: Phase.STEPPING,
    PhaseEvent.OTHER_CONTROL: _MISPLACED,
    PhaseEvent.FAILURE: Phase.CLOSED,
}

# For each phase and event the next phase, or why the message is refused.  A pair that
# is not in the table cannot happen, so looking it up is a bug, not a peer's mistake.
TRANSITIONS: Final[dict[Phase, dict[PhaseEvent, Phase | str]]] = {
    Phase.REQUEST_EXPECTED: {
        PhaseEvent.ORDINARY: Phase.OPEN,
        PhaseEvent.TOKEN_REQUEST: Phase.STEPPING,
        PhaseEvent.TOKEN: _TOO_EARLY,
        PhaseEvent.OTHER_CONTROL: _MISPLACED,
        PhaseEvent.FAILURE: Phase.CLOSED,
    },
    Phase.TOKEN_EXPECTED: _AWAITING_TOKEN,
    Phase.SASL_BEGUN: _AWAITING_TOKEN,
    Phase.STEPPING: {
        PhaseEvent.CHALLENGE: Phase.SASL_BEGUN,
        PhaseEvent.COMPLETION: Phase.OPEN,
        PhaseEvent.FAILURE: Phase.CLOSED,
    },
    Phase.OPEN: {
        PhaseEvent.ORDINARY: Phase.OPEN,
        PhaseEvent.TOKEN_REQUEST: _NOT_EXPECTED,
        PhaseEvent.TOKEN: _NOT_EXPECTED,
        PhaseEvent.OTHER_CONTROL: _NOT_EXPECTED,
        PhaseEvent.FAILURE: Phase.CLOSED,
    },
    # The connection may fail once more while its last replies are being sent.
    Phase.CLOSED: {PhaseEvent.FAILURE: Phase.CLOSED},
}

# The phases in which frames are read.  A tuple, with the usual phase first: the hash of
# an enum's member is slow in CPython 3.11, and so is a comparison with another member.
READING: Final = tuple(
    phase for phase in reversed(Phase) if PhaseEvent.ORDINARY in TRANSITIONS[phase]
)
# The phases in which nothing of an exchange has to be remembered, so that another
# process can continue the connection.
CAN_BE_CARRIED_OVER: Final = tuple(
    phase for phase in READING if phase is not Phase.SASL_BEGUN
)

# The types of message that are not ordinary.
SASL_TYPES: Final = frozenset((messages.CONTROL_MESSAGE, messages.SASL_MESSAGE_TOKEN))


def first_phase(mechanism: ServerMechanism | None) -> Phase:
    """Return the phase in which a connection begins."""
    if mechanism is None:
        return Phase.OPEN
    if mechanism.begins_with_request:
        return Phase.REQUEST_EXPECTED
    return Phase.TOKEN_EXPECTED


def next_phase(phase: Phase, event: PhaseEvent, detail: str = "") -> Phase:
    """Look a transition up.

    Args:
        phase: the present phase.
        event: what happened.
        detail: names the message in the error.

    Raises:
        OutOfPlaceError: the message is refused.
    """
    target = TRANSITIONS[phase][event]
    if isinstance(target, str):
        raise OutOfPlaceError(target, detail)
    return target


def event_of(message: Message) -> PhaseEvent:
    """Return the kind of a message.

    Raises:
        MalformedError: it is a control message without a readable code.
    """
    if message.type == messages.SASL_MESSAGE_TOKEN:
        return PhaseEvent.TOKEN
    if message.type != messages.CONTROL_MESSAGE:
        return PhaseEvent.ORDINARY
    is_request = control.read_code(message) == control.SASL_TOKEN_MESSAGE_REQUEST
    return PhaseEvent.TOKEN_REQUEST if is_request else PhaseEvent.OTHER_CONTROL
