"""SASL on the daemon's wire, byte by byte: exactly what is sent."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pacemaker.sasl.digest import DigestClient, digest_secret
from pacemaker.sasl.secret import Secret
from tests.real.daemons import Daemon
from tests.real.realm import (
    FOREIGN_NIMBUS,
    FOREIGN_SERVER,
    NIMBUS,
    SERVER,
    SUPERVISOR,
    Realm,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire, control, token_of
from tests.wire.by_hand import token as token_frame

if TYPE_CHECKING:
    from tests.real.gss_initiator import GssInitiator

pytestmark = pytest.mark.real

READ = wire.path_request(Type.EXISTS, "/a", message_id=1)
READ_REPLY = wire.exists_reply(False, message_id=1)
NOT_AUTHORIZED = wire.ack(Type.NOT_AUTHORIZED, message_id=1)


REQUEST = control(-202)
COMPLETE = control(-203)


def new_client() -> DigestClient:
    """Make a client that knows the cluster's password."""
    return DigestClient(digest_secret("u", Secret("p")), "pacemaker-client")


@pytest.fixture(scope="module")
def digest_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Start our daemon with DIGEST, and the sample of Storm's documentation."""
    jaas_file = tmp_path_factory.mktemp("jaas") / "jaas.conf"
    jaas_file.write_text('PacemakerDigest {\n username="u"\n password="p";\n};\n')
    jaas_file.chmod(0o600)
    with Daemon(*_options("DIGEST", jaas_file)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def kerberos_daemon(realm: Realm) -> Iterator[Daemon]:
    """Start our daemon with KERBEROS."""
    jaas_file = realm.write_jaas("daemon.conf", {"PacemakerServer": SERVER})
    options = _options("KERBEROS", jaas_file)
    with Daemon(*options, "-c", "nimbus.daemon.user=nimbus") as daemon:
        yield daemon


def _options(method: str, jaas_file: Path) -> list[str]:
    key = "java.security.auth.login.config"
    return ["-c", f"pacemaker.auth.method={method}", "-c", f"{key}={jaas_file}"]


def authenticate_by_digest(connection: Wire) -> bytes:
    """Run an exchange to its end; return the response that did it."""
    client = new_client()
    response = client.step(token_of(connection.ask(REQUEST))) or b""
    client.step(token_of(connection.ask(token_frame(response))))
    assert client.complete
    assert connection.receive() == COMPLETE
    return response


def test_digest_completes_once_and_reads(digest_daemon: Daemon) -> None:
    """Challenge, proof, one -203, and then the reads are answered."""
    with Wire(digest_daemon.address) as connection:
        authenticate_by_digest(connection)
        assert connection.ask(READ) == READ_REPLY


def test_digest_reads_sent_with_the_response_are_answered_after_it(
    digest_daemon: Daemon,
) -> None:
    """A request in the same segment as the response gets its reply after -203."""
    client = new_client()
    with Wire(digest_daemon.address) as connection:
        response = client.step(token_of(connection.ask(REQUEST))) or b""
        client.step(token_of(connection.ask(token_frame(response) + READ)))
        assert connection.receive() == COMPLETE
        assert connection.receive() == READ_REPLY


def test_digest_is_over_after_an_ordinary_message(digest_daemon: Daemon) -> None:
    """Who writes first may never read on that connection, nor authenticate."""
    pulse = wire.send_pulse("/b", b"x", message_id=2)
    with Wire(digest_daemon.address) as connection:
        connection.ask(REQUEST)
        stored = wire.ack(Type.SEND_PULSE_RESPONSE, message_id=2)
        assert connection.ask(pulse) == stored
        assert connection.ask(READ) == NOT_AUTHORIZED
        connection.send(token_frame(b"too late"))
        assert connection.ended()


Spoil = Callable[[bytes], bytes]

SPOILT_RESPONSES: dict[str, Spoil] = {
    "a wrong hash": lambda response: re.sub(rb"response=.", b"response=x", response),
    "another user's name": lambda response: response + b',authzid="bmltYnVz"',
    "a directive twice": lambda response: response + b",qop=auth",
    "one byte less": lambda response: response[:-1],
    "nothing": lambda response: b"",
    "too much": lambda response: response + b",x=" + b"y" * 5000,
    "no text at all": lambda response: bytes(range(256)),
}


@pytest.mark.parametrize("spoil", SPOILT_RESPONSES.values(), ids=SPOILT_RESPONSES)
def test_digest_sends_nothing_after_a_refused_response(
    digest_daemon: Daemon, spoil: Spoil
) -> None:
    """A spoilt response is answered by the end of the connection alone."""
    with Wire(digest_daemon.address) as bystander, Wire(digest_daemon.address) as peer:
        authenticate_by_digest(bystander)
        response = new_client().step(token_of(peer.ask(REQUEST))) or b""
        peer.send(token_frame(spoil(response)) + READ)
        assert peer.ended()
        assert bystander.ask(READ) == READ_REPLY


def test_digest_refuses_a_replayed_response(digest_daemon: Daemon) -> None:
    """The response that authenticated one connection does not open another."""
    with Wire(digest_daemon.address) as connection:
        response = authenticate_by_digest(connection)
    with Wire(digest_daemon.address) as connection:
        connection.ask(REQUEST)
        connection.send(token_frame(response))
        assert connection.ended()


@pytest.mark.parametrize(
    "frames",
    [
        [token_frame(b"x")],
        [REQUEST, REQUEST],
        [COMPLETE],
        [control(-100)],
    ],
    ids=["token before -202", "-202 twice", "-203", "another code"],
)
def test_digest_closes_what_is_out_of_place(
    digest_daemon: Daemon, frames: list[bytes]
) -> None:
    """What the exchange has no place for ends the connection, with nothing sent."""
    with Wire(digest_daemon.address) as connection:
        for frame in frames[:-1]:
            connection.ask(frame)
        connection.send(frames[-1])
        assert connection.ended()


def crafted(
    realm: Realm,
    principal: str = NIMBUS,
    target: str = SERVER,
    choice: bytes = b"\x01\x00\x00\x00",
) -> GssInitiator:
    """Make a client that asks for whatever a test wants."""
    # Not above: it needs the extra, without which these tests are skipped.
    from tests.real.gss_initiator import GssInitiator

    return GssInitiator(principal, realm.keytabs[principal], target, choice=choice)


def test_kerberos_completes_twice_and_reads(
    realm: Realm, kerberos_daemon: Daemon
) -> None:
    """Ticket, offer, choice, two -203, and then the reads are answered."""
    client = crafted(realm)
    with Wire(kerberos_daemon.address) as connection:
        offer = token_of(connection.ask(token_frame(client.step(b""))))
        connection.send(token_frame(client.step(offer)))
        assert connection.receive() == COMPLETE
        assert connection.receive() == COMPLETE
        assert connection.ask(READ) == READ_REPLY


def test_kerberos_refuses_a_replayed_ticket(
    realm: Realm, kerberos_daemon: Daemon
) -> None:
    """A ticket that opened an exchange opens no second one, and nothing is sent."""
    ticket = token_frame(crafted(realm).step(b""))
    with Wire(kerberos_daemon.address) as connection:
        connection.ask(ticket)
    with Wire(kerberos_daemon.address) as connection:
        connection.send(ticket + READ)
        assert connection.ended()
    kerberos_daemon.logged("GSSAPI refuses the token: .*replay")


@pytest.mark.parametrize(
    ("principal", "target"),
    [(FOREIGN_NIMBUS, FOREIGN_SERVER), (NIMBUS, "nimbus/localhost@EXAMPLE.COM")],
    ids=["another realm's ticket", "another service's ticket"],
)
def test_kerberos_sends_nothing_after_a_refused_ticket(
    realm: Realm, kerberos_daemon: Daemon, principal: str, target: str
) -> None:
    """A ticket that is not for us is answered by the end of the connection alone."""
    ticket = crafted(realm, principal, target).step(b"")
    with Wire(kerberos_daemon.address) as connection:
        connection.send(token_frame(ticket))
        assert connection.ended()


def test_kerberos_sends_nothing_after_a_tampered_ticket(
    realm: Realm, kerberos_daemon: Daemon
) -> None:
    """A ticket with a changed authenticator is refused."""
    ticket = crafted(realm).step(b"")
    with Wire(kerberos_daemon.address) as connection:
        connection.send(token_frame(ticket[:-1] + bytes([ticket[-1] ^ 1])))
        assert connection.ended()


@pytest.mark.parametrize(
    ("principal", "choice"),
    [
        (SUPERVISOR, b"\x01\x00\x00\x00"),
        (SUPERVISOR, b"\x01\x00\x00\x00" + NIMBUS.encode()),
        (NIMBUS, b"\x01\x00\x00\x00nimbus"),
        (NIMBUS, b"\x02\x00\x00\x00"),
    ],
    ids=["another principal", "another's authzid", "a short authzid", "a layer"],
)
def test_kerberos_sends_nothing_after_a_refused_choice(
    realm: Realm, kerberos_daemon: Daemon, principal: str, choice: bytes
) -> None:
    """Who may not read, or asks for what was not offered, gets no -203."""
    client = crafted(realm, principal, choice=choice)
    with Wire(kerberos_daemon.address) as connection:
        offer = token_of(connection.ask(token_frame(client.step(b""))))
        connection.send(token_frame(client.step(offer)) + READ)
        assert connection.ended()


def test_kerberos_lives_through_any_tokens(
    realm: Realm, kerberos_daemon: Daemon
) -> None:
    """Random tokens end their connections; the daemon serves the next ones."""
    chance = random.Random(1964)  # noqa: S311  # repeatable, not secret
    for _ in range(5):
        with Wire(kerberos_daemon.address) as connection:
            connection.send(token_frame(chance.randbytes(chance.randrange(2000))))
            assert connection.ended()
    test_kerberos_completes_twice_and_reads(realm, kerberos_daemon)
