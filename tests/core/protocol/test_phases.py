"""Tests of core.protocol.phases: the table, and the diagram that follows from it."""

from __future__ import annotations

import pytest

from pacemaker.core.protocol import phases
from pacemaker.core.protocol.phases import (
    CAN_BE_CARRIED_OVER,
    READING,
    SASL_TYPES,
    TRANSITIONS,
    Phase,
    PhaseEvent,
    event_of,
    first_phase,
    next_phase,
)
from pacemaker.errors import MalformedError, OutOfPlaceError
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Message
from tests.fake_mechanisms import like_digest, like_kerberos

KINDS = (
    PhaseEvent.ORDINARY,
    PhaseEvent.TOKEN_REQUEST,
    PhaseEvent.TOKEN,
    PhaseEvent.OTHER_CONTROL,
)


def row_of(phase: Phase) -> tuple[str, str]:
    """Write a phase's line as in the module's docstring."""
    targets = {
        event.value: target.name
        for event, target in TRANSITIONS[phase].items()
        if isinstance(target, Phase) and event is not PhaseEvent.FAILURE
    }
    return f"{phase.name}:", ", ".join(" -> ".join(pair) for pair in targets.items())


def test_diagram_is_that_of_the_table() -> None:
    """The docstring has a line for each phase with a way out, and no other lines."""
    drawn = {
        tuple(part.strip() for part in line.partition(":")[::2])
        for line in (phases.__doc__ or "").splitlines()
        if " -> " in line
    }
    rows = {row_of(phase) for phase in Phase}
    assert drawn == {(name.rstrip(":"), row) for name, row in rows if row}


def test_every_phase_can_fail_and_only_closed_is_final() -> None:
    """A failure leads from any phase to CLOSED, and nothing leads out of it."""
    assert TRANSITIONS.keys() == set(Phase)
    assert all(row[PhaseEvent.FAILURE] is Phase.CLOSED for row in TRANSITIONS.values())
    assert set(TRANSITIONS[Phase.CLOSED]) == {PhaseEvent.FAILURE}


@pytest.mark.parametrize("phase", READING)
def test_phase_that_reads_knows_every_kind_of_message(phase: Phase) -> None:
    """The table has an entry for every message that a peer can send."""
    assert set(TRANSITIONS[phase]) == {*KINDS, PhaseEvent.FAILURE}


@pytest.mark.parametrize("phase", [Phase.STEPPING, Phase.CLOSED])
def test_phase_that_does_not_read_has_no_messages(phase: Phase) -> None:
    """A message in such a phase would be our bug, not the peer's mistake."""
    with pytest.raises(KeyError):
        next_phase(phase, PhaseEvent.ORDINARY)


@pytest.mark.parametrize(
    ("phase", "event", "text"),
    [
        (Phase.OPEN, PhaseEvent.TOKEN, "SASL message outside of an exchange: it"),
        (Phase.REQUEST_EXPECTED, PhaseEvent.TOKEN, "SASL token before the request"),
        (
            Phase.SASL_BEGUN,
            PhaseEvent.TOKEN_REQUEST,
            "control message out of place: it",
        ),
    ],
)
def test_refused_message_is_named(phase: Phase, event: PhaseEvent, text: str) -> None:
    """The error has the table's reason and the detail."""
    with pytest.raises(OutOfPlaceError, match=text):
        next_phase(phase, event, "it")


def test_usual_phase_is_looked_for_first() -> None:
    """Nearly every message arrives in OPEN, so it is first in the tuple."""
    assert READING[0] is Phase.OPEN


def test_exchange_that_has_begun_is_not_carried_over() -> None:
    """The other phases that read need either no mechanism or a new one."""
    assert set(READING) - set(CAN_BE_CARRIED_OVER) == {Phase.SASL_BEGUN}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (Message(messages.EXISTS, "/a", 1), PhaseEvent.ORDINARY),
        (Message(messages.NOT_AUTHORIZED), PhaseEvent.ORDINARY),
        (control.token_message(b"x"), PhaseEvent.TOKEN),
        (Message(messages.SASL_MESSAGE_TOKEN), PhaseEvent.TOKEN),
        (control.control_message(-202), PhaseEvent.TOKEN_REQUEST),
        (control.control_message(-203), PhaseEvent.OTHER_CONTROL),
    ],
)
def test_message_has_its_kind(message: Message, event: PhaseEvent) -> None:
    """Every message that does not belong to SASL is ordinary."""
    assert event_of(message) is event
    assert (message.type in SASL_TYPES) == (event is not PhaseEvent.ORDINARY)


def test_control_message_without_a_code_has_no_kind() -> None:
    """A control message without a code is malformed in any phase."""
    with pytest.raises(MalformedError, match="CONTROL_MESSAGE"):
        event_of(Message(messages.CONTROL_MESSAGE))


def test_first_phase_is_what_the_mechanism_asks_for() -> None:
    """Without authentication a connection is open from the start."""
    assert first_phase(None) is Phase.OPEN
    assert first_phase(like_digest()) is Phase.REQUEST_EXPECTED
    assert first_phase(like_kerberos()) is Phase.TOKEN_EXPECTED
