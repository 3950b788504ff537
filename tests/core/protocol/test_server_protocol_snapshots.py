"""Snapshots of a connection, which an upgrade in place carries over."""

from __future__ import annotations

import pytest

from pacemaker.core.protocol.outgoing import MAX_OUTGOING_BYTES
from pacemaker.core.protocol.phases import Phase
from pacemaker.core.protocol.protocol_snapshot import ProtocolSnapshot
from pacemaker.core.store.store import Store
from pacemaker.errors import (
    OutOfPlaceError,
)
from tests.core.protocol.conversations import (
    DIGEST_ANSWERS,
    DIGEST_EXCHANGE,
    GARBAGE,
    HIT,
    KERBEROS_EXCHANGE,
    MISS,
    PULSE,
    READ,
    REQUEST_TOKEN,
    MakeMechanism,
    in_phase,
    new_protocol,
    outcome_of,
    sent_by,
    serve,
    settle,
)
from tests.fake_mechanisms import (
    REFUSED,
    like_digest,
    like_kerberos,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    send_pulse,
    token,
)

HANDED_OVER = {
    "pulses and reads": (None, PULSE + READ + send_pulse("/b", b"z", 6) + READ),
    "DIGEST": (like_digest, DIGEST_EXCHANGE + PULSE + READ),
    "KERBEROS": (like_kerberos, KERBEROS_EXCHANGE + PULSE + READ),
    "no exchange": (like_digest, READ + PULSE + READ),
}


def handed_over(
    make: MakeMechanism, stream: bytes, cut: int, *, is_sent: bool
) -> bytes | None:
    """Serve a stream on two connections; the second continues from a snapshot.

    Returns:
        All that was sent; None if the first gave no snapshot.
    """
    store = Store()
    first = new_protocol(make, store)
    first.receive_data(stream[:cut])
    sent = settle(first) if is_sent or first.phase is Phase.STEPPING else b""
    state = first.snapshot(first.sent())
    if state is None:
        return None
    second = new_protocol(make, store)
    second.restore(ProtocolSnapshot(*state))
    second.resume()
    return sent + serve(second, [stream[cut:]])


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.parametrize("name", HANDED_OVER)
def test_another_goes_on_from_a_snapshot(name: str, is_sent: bool) -> None:
    """Wherever a connection is handed over, its replies stay the same."""
    make, stream = HANDED_OVER[name]
    whole = outcome_of(make, [stream])[0]
    amid_sasl = 0
    for cut in range(len(stream) + 1):
        sent = handed_over(make, stream, cut, is_sent=is_sent)
        if sent is None:
            amid_sasl += 1
            assert cut <= len(stream) - len(PULSE + READ)
        else:
            assert sent == whole
    assert bool(amid_sasl) == (name in ("DIGEST", "KERBEROS"))


def test_snapshot_has_what_was_not_sent() -> None:
    """Bytes that were handed out but not sent come first, then pending replies."""
    server = new_protocol()
    server.receive_data(PULSE)
    unsent = sent_by(server)[3:]
    server.receive_data(READ + b"\0")
    state = server.snapshot(unsent + sent_by(server))
    assert state == ProtocolSnapshot(True, False, None, b"\0", unsent + HIT)
    second = new_protocol()
    second.restore(state)
    second.resume()
    assert sent_by(second) == unsent + HIT
    assert second.frames.unread_bytes == 1


def test_snapshot_of_a_blocked_connection_keeps_what_is_unread() -> None:
    """Requests after a large reply are handed over unread, and answered there."""
    store = Store()
    store.put("/a", bytes(MAX_OUTGOING_BYTES))
    first = new_protocol(None, store)
    first.receive_data(READ + READ)
    state = first.snapshot(first.sent())
    assert state is not None
    assert state.unread == READ
    second = new_protocol(None, store)
    second.restore(state)
    second.resume()
    assert second.is_blocked
    assert settle(second) == wire.pulse_reply("/a", bytes(MAX_OUTGOING_BYTES), 7) * 2


@pytest.mark.parametrize(
    ("make", "stream"),
    [
        (None, GARBAGE),
        (like_digest, REQUEST_TOKEN),
        (like_kerberos, token(b"AP-REQ")),
        (like_kerberos, token(REFUSED)),
    ],
)
def test_no_snapshot_amid_an_exchange_or_after_the_end(
    make: MakeMechanism, stream: bytes
) -> None:
    """Neither an exchange nor an ended connection can be handed over."""
    assert in_phase(make, stream).snapshot() is None


def test_no_snapshot_of_a_step_that_is_under_way() -> None:
    """While a step runs, there is no snapshot."""
    server = new_protocol(like_digest)
    server.receive_data(REQUEST_TOKEN)
    assert server.phase is Phase.STEPPING
    assert server.snapshot() is None


def test_exchange_may_begin_after_a_hand_over() -> None:
    """If the exchange was still possible, it is possible in the next process."""
    state = new_protocol(like_digest).snapshot()
    assert state == ProtocolSnapshot(False, True, None, b"", b"")
    second = new_protocol(like_digest)
    second.restore(state)
    assert serve(second, [DIGEST_EXCHANGE + READ]) == DIGEST_ANSWERS + MISS


def test_authentication_is_handed_over() -> None:
    """An authenticated peer may read in the next process, but not begin again."""
    state = in_phase(like_digest, DIGEST_EXCHANGE).snapshot()
    assert state == ProtocolSnapshot(True, False, "nimbus", b"", b"")
    second = new_protocol(like_digest)
    second.restore(state)
    assert (serve(second, [READ]), second.user) == (MISS, "nimbus")
    serve(second, [REQUEST_TOKEN])
    assert isinstance(second.error, OutOfPlaceError)
