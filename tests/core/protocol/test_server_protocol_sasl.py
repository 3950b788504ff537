"""The phases of a connection, and its SASL exchange."""

from __future__ import annotations

import tracemalloc
import weakref

import pytest

from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.phases import READING, Phase
from pacemaker.core.store.store import Store
from pacemaker.errors import (
    AuthenticationError,
    FrameError,
    LimitError,
    MalformedError,
    OutOfPlaceError,
    PeerError,
)
from pacemaker.sasl.mechanism import StepOutcome
from tests.core.protocol.collecting import Collecting
from tests.core.protocol.conversations import (
    DIGEST_ANSWERS,
    DIGEST_EXCHANGE,
    GARBAGE,
    KERBEROS_ANSWERS,
    KERBEROS_EXCHANGE,
    LIMIT,
    MESSAGES,
    MISS,
    PULSE,
    PULSE_ACK,
    READ,
    REFUSAL,
    REQUEST_TOKEN,
    MakeMechanism,
    in_phase,
    new_protocol,
    sent_by,
    serve,
)
from tests.fake_mechanisms import (
    REFUSED,
    ScriptedMechanism,
    like_digest,
    like_kerberos,
)
from tests.wire.by_hand import (
    token,
)

# --- phases ----------------------------------------------------------------


# How a connection comes to a phase: its mechanism, and what it was sent.
STARTS: dict[str, tuple[MakeMechanism, bytes]] = {
    "OPEN": (None, b""),
    "REQUEST_EXPECTED, DIGEST": (like_digest, b""),
    "TOKEN_EXPECTED, KERBEROS": (like_kerberos, b""),
    "SASL_BEGUN, DIGEST": (like_digest, REQUEST_TOKEN),
    "SASL_BEGUN, KERBEROS": (like_kerberos, token(b"AP-REQ")),
    "OPEN, authenticated": (like_digest, DIGEST_EXCHANGE),
    "OPEN, not authenticated": (like_digest, PULSE),
}
_OPEN = dict.fromkeys(("pulse", "read", "no request"), Phase.OPEN)
_ANYWHERE: dict[str, Phase | type[PeerError]] = {
    **_OPEN,
    "garbage": MalformedError,
    "request without data": MalformedError,
    "length": FrameError,
}
_NO_SASL: dict[str, Phase | type[PeerError]] = {
    **_ANYWHERE,
    **dict.fromkeys(MESSAGES.keys() - _ANYWHERE.keys(), OutOfPlaceError),
    "control without a code": MalformedError,
}
_SASL: dict[str, Phase | type[PeerError]] = {
    **_ANYWHERE,
    "request for a token": OutOfPlaceError,
    "complete": OutOfPlaceError,
    "other control": OutOfPlaceError,
    "token": Phase.STEPPING,
    "control without a code": MalformedError,
    "token without a blob": MalformedError,
    "token too large": LimitError,
}
TRANSITIONS: dict[str, dict[str, Phase | type[PeerError]]] = {
    "OPEN": _NO_SASL,
    "OPEN, authenticated": _NO_SASL,
    "OPEN, not authenticated": _NO_SASL,
    "REQUEST_EXPECTED, DIGEST": {
        **_SASL,
        "request for a token": Phase.STEPPING,
        **dict.fromkeys(
            ("token", "token without a blob", "token too large"), OutOfPlaceError
        ),
    },
    "TOKEN_EXPECTED, KERBEROS": _SASL,
    "SASL_BEGUN, DIGEST": _SASL,
    "SASL_BEGUN, KERBEROS": _SASL,
}


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("start", STARTS)
def test_transition(start: str, message: str) -> None:
    """Each message leads from each phase to the expected phase."""
    server = in_phase(*STARTS[start])
    assert server.phase.name == start.partition(",")[0]
    server.receive_data(MESSAGES[message])
    due = TRANSITIONS[start][message]
    if isinstance(due, Phase):
        assert (server.phase, server.error) == (due, None)
    else:
        assert (server.phase, type(server.error)) == (Phase.CLOSED, due)


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("start", [name for name in STARTS if "OPEN" not in name])
def test_ordinary_message_takes_sasl_off_for_good(start: str, message: str) -> None:
    """A peer that writes before the exchange is complete may never read."""
    server = in_phase(*STARTS[start])
    serve(server, [PULSE])
    assert (server.phase, server.authenticated) == (Phase.OPEN, False)
    assert serve(server, [READ]) == REFUSAL
    serve(server, [MESSAGES[message]])
    assert not server.authenticated
    assert server.user is None
    assert server.phase is (Phase.OPEN if message in _OPEN else Phase.CLOSED)


@pytest.mark.parametrize("message", MESSAGES)
def test_closed_absorbs_all(message: str) -> None:
    """Once CLOSED, the protocol reads, answers and keeps nothing."""
    server = in_phase(None, GARBAGE)
    error = server.error
    server.receive_data(MESSAGES[message])
    server.resume()
    assert sent_by(server) == b""
    assert (server.phase, server.error) == (Phase.CLOSED, error)
    assert (server.frames.unread_bytes, server.frames.frame_bytes) == (0, 0)


@pytest.mark.parametrize("message", MESSAGES)
def test_stepping_reads_nothing(message: str) -> None:
    """While a step runs, received bytes wait."""
    server = new_protocol(like_digest)
    server.receive_data(REQUEST_TOKEN)
    server.receive_data(MESSAGES[message])
    server.resume()
    assert server.phase is Phase.STEPPING
    assert sent_by(server) == b""
    assert server.frames.unread_bytes == len(MESSAGES[message])


def test_phases_are_those_of_the_table() -> None:
    """The test's table has every phase that reads, and every message."""
    starts = {start.partition(",")[0] for start in STARTS}
    assert starts == {phase.name for phase in READING}
    assert TRANSITIONS.keys() == STARTS.keys()
    assert all(row.keys() == MESSAGES.keys() for row in TRANSITIONS.values())


# --- SASL ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "exchange", "answers"),
    [
        (like_digest, DIGEST_EXCHANGE, DIGEST_ANSWERS),
        (like_kerberos, KERBEROS_EXCHANGE, KERBEROS_ANSWERS),
    ],
)
def test_completion_comes_before_any_reply(
    make: MakeMechanism, exchange: bytes, answers: bytes
) -> None:
    """Requests that follow the last token are answered after the -203."""
    server = new_protocol(make)
    assert serve(server, [exchange + READ + PULSE]) == answers + MISS + PULSE_ACK
    assert (server.authenticated, server.user) == (True, "nimbus")


def test_mechanism_gets_the_tokens() -> None:
    """The token request counts as an empty token; others arrive unchanged."""
    mechanism = like_digest()
    server = new_protocol(lambda: mechanism)
    serve(server, [DIGEST_EXCHANGE])
    assert mechanism.tokens_rcvd == [b"", b"response"]


@pytest.mark.parametrize(
    ("make", "is_slow"), [(like_digest, False), (like_kerberos, True)]
)
def test_owner_is_told_of_slow_steps(make: MakeMechanism, is_slow: bool) -> None:
    """The owner can ask whether a step is slow before it runs."""
    server = new_protocol(make)
    server.receive_data(token(b"AP-REQ") if is_slow else REQUEST_TOKEN)
    assert server.sasl_step is not None
    assert server.sasl_step.is_slow is is_slow


def test_nothing_is_sent_after_a_refused_token() -> None:
    """Requests that came with the refused token are not carried out either."""
    store = Store()
    server = new_protocol(like_kerberos, store)
    assert serve(server, [token(REFUSED) + PULSE]) == b""
    assert isinstance(server.error, AuthenticationError)
    assert not server.authenticated
    assert len(store) == 0


def test_step_touches_nothing_until_its_outcome_is_taken() -> None:
    """A step may run on any thread: the connection changes only in finish_step."""
    server = new_protocol(like_kerberos)
    server.receive_data(token(b"AP-REQ"))
    assert server.sasl_step is not None
    outcome = server.sasl_step.run()
    assert (server.phase, sent_by(server)) == (Phase.STEPPING, b"")
    server.finish_step(outcome)
    assert (server.phase, sent_by(server)) == (Phase.SASL_BEGUN, token(b"offer"))


@pytest.mark.parametrize("outcome", [b"offer", None, AuthenticationError("late")])
def test_outcome_of_a_step_comes_too_late(
    outcome: StepOutcome,
) -> None:
    """A connection that has ended meanwhile ignores the outcome."""
    server = new_protocol(like_kerberos)
    server.receive_data(token(b"AP-REQ"))
    server.fail(LimitError("out of time"))
    server.finish_step(outcome)
    assert (server.phase, str(server.error)) == (Phase.CLOSED, "out of time")
    assert sent_by(server) == b""


@pytest.mark.parametrize("exchange", [b"", REQUEST_TOKEN, DIGEST_EXCHANGE])
def test_outcome_without_a_step_is_ignored(exchange: bytes) -> None:
    """finish_step does nothing if no step is pending."""
    server = in_phase(like_digest, exchange)
    before = repr(server)
    server.finish_step(b"token")
    assert (repr(server), sent_by(server)) == (before, b"")


class ForgetfulMechanism(ScriptedMechanism):
    """A mechanism like Kerberos's that does not keep the tokens that it is given."""

    def __init__(self) -> None:
        super().__init__(
            [b"offer", None], begins_with_request=False, completion_count=2
        )

    def step(self, token: bytes) -> bytes | None:
        """Return the next scripted answer."""
        answer = super().step(token)
        self.tokens_rcvd.clear()
        return answer


def new_forgetful() -> tuple[Collecting, weakref.ref[ForgetfulMechanism]]:
    """Make a protocol with the only reference to its mechanism, and a weak one."""
    mechanism = ForgetfulMechanism()
    dispatcher = Dispatcher(Store(), Figures(), LIMIT)
    return Collecting(dispatcher, LIMIT, mechanism), weakref.ref(mechanism)


def test_tokens_are_not_kept() -> None:
    """Tokens, and the mechanism after the exchange, are not kept alive."""
    server, seen = new_forgetful()
    tracemalloc.start()
    try:
        server.receive_data(token(bytes(50_000)))
        step = server.sasl_step
        assert step is not None
        server.finish_step(step.run())
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 50_000
    assert server.sasl_step is None
    del step
    assert seen() is not None, "it is needed for the next token"
    serve(server, [token(b"wrapped")])
    assert server.authenticated
    assert seen() is None


def test_mechanism_is_not_kept_for_a_peer_that_has_given_up_sasl() -> None:
    """No further step is possible on this connection."""
    server, seen = new_forgetful()
    serve(server, [PULSE])
    assert not server.authenticated
    assert seen() is None
