"""A protocol object, what a peer says to it, and an owner that obeys it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pacemaker.core.accounts.account import UNKNOWN_PEER, Account
from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.phases import Phase
from pacemaker.core.protocol.pulse_fast_path import PulseFastPath
from pacemaker.core.store.store import KeyHandle, Store
from tests.core.protocol.collecting import Collecting
from tests.fake_mechanisms import (
    ScriptedMechanism,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    Type,
    binary,
    control,
    framed,
    path_request,
    send_pulse,
    token,
)

LIMIT = 10_485_760
MakeMechanism = Callable[[], ScriptedMechanism] | None


REQUEST_TOKEN = control(-202)
COMPLETE = control(-203)
PULSE = send_pulse("/a", b"xy", 5)
PULSE_ACK = wire.ack(Type.SEND_PULSE_RESPONSE, 5)
READ = path_request(Type.GET_PULSE, "/a", 7)
LIST = path_request(Type.GET_ALL_NODES_FOR_PATH, "/w", 3)
HIT = wire.pulse_reply("/a", b"xy", 7)
MISS = wire.pulse_reply("/a", None, 7)
REFUSAL = wire.ack(Type.NOT_AUTHORIZED, 7)
NO_REQUEST = wire.ack(Type.EXISTS_RESPONSE, 1)
GARBAGE = framed(b"\0")

# The messages that a peer may send, right or wrong in its phase.
MESSAGES = {
    "pulse": PULSE,
    "read": READ,
    "no request": NO_REQUEST,
    "request for a token": REQUEST_TOKEN,
    "complete": COMPLETE,
    "other control": control(-100),
    "token": token(b"x"),
    "control without a code": wire.message(Type.CONTROL_MESSAGE),
    "token without a blob": wire.message(Type.SASL_MESSAGE_TOKEN, binary(1, "x")),
    "token too large": token(bytes(64 * 1024 + 1)),
    "garbage": GARBAGE,
    "request without data": wire.message(Type.GET_PULSE),
    "length": b"\xff\xff\xff\xff",
}

DIGEST_EXCHANGE = REQUEST_TOKEN + token(b"response")
DIGEST_ANSWERS = token(b"challenge") + token(b"rspauth") + COMPLETE
KERBEROS_EXCHANGE = token(b"AP-REQ") + token(b"wrapped")
KERBEROS_ANSWERS = token(b"offer") + COMPLETE + COMPLETE


def new_protocol(
    make: MakeMechanism = None,
    store: Store | None = None,
    account: Account = UNKNOWN_PEER,
) -> Collecting:
    """Make a protocol over a store, by default an empty one."""
    store = Store() if store is None else store
    dispatcher = Dispatcher(store, Figures(), LIMIT)
    mechanism = make() if make else None
    return Collecting(dispatcher, LIMIT, mechanism, "peer:1", None, account)


class CountingStore(Store):
    """A store that counts how often a worker writes."""

    writes = 0

    def put_at(self, place: KeyHandle, value: bytes) -> None:
        """Count, and store."""
        self.writes += 1
        super().put_at(place, value)


class CountingDispatcher(Dispatcher):
    """A dispatcher that counts how often the fast path for pulses is prepared."""

    workers = 0

    def pulse_fast_path(self, *args: Any, **kwargs: Any) -> PulseFastPath:
        """Count the call, and make the object."""
        self.workers += 1
        return super().pulse_fast_path(*args, **kwargs)


def new_worker(store: Store) -> Collecting:
    """Make a protocol whose peer may use the fast path for pulses."""
    server = new_protocol(store=store)
    assert serve(server, [PULSE, PULSE]) == PULSE_ACK * 2
    return server


def sent_by(server: Collecting) -> bytes:
    """Return what was to be sent since the last call."""
    return server.sent()


def serve(server: Collecting, pieces: Iterable[bytes]) -> bytes:
    """Act as the owner: pass data in, run steps, and send everything."""
    sent = bytearray()
    for piece in pieces:
        server.receive_data(piece)
        sent += server.settle()
    return bytes(sent)


def settle(server: Collecting) -> bytes:
    """Run steps and send, until the protocol waits for the peer."""
    return server.settle()


def outcome_of(
    make: MakeMechanism,
    pieces: Iterable[bytes],
) -> tuple[bytes, Phase, str, bool, str | None]:
    """Serve pieces to a new connection; return its visible outcome."""
    server = new_protocol(make)
    sent = serve(server, pieces)
    return sent, server.phase, str(server.error), server.authenticated, server.user


def in_phase(make: MakeMechanism, before: bytes) -> Collecting:
    """Bring a new connection to a phase, with its output sent."""
    server = new_protocol(make)
    serve(server, [before])
    return server
