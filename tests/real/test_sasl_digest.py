"""DIGEST against the JDK's own SASL, with the parameters that Storm gives it."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Iterator

import pytest

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.digest import DigestClient, DigestServer, digest_secret
from pacemaker.sasl.secret import Secret
from tests.real.sasl_peer import JdkMechanism, SaslProgram
from tests.sasl.exchange import run_exchange
from tests.sasl.responses import CASES, SECRET_HEX, USER, Case

pytestmark = pytest.mark.real

Responder = Callable[[bytes], bytes]
"""Gives the response to the challenge with a nonce."""

SECRET = digest_secret("u", Secret("p"))
GENERATED = 3000
SEED = 20_831


@pytest.fixture(scope="module")
def jdk() -> Iterator[SaslProgram]:
    """Give a JVM with its SASL."""
    with SaslProgram() as program:
        yield program


def jdk_server(jdk: SaslProgram) -> JdkMechanism:
    """Begin an exchange with the JDK as the server."""
    return JdkMechanism(jdk, f"digest-server {SECRET_HEX}")


def nonce_of(challenge: bytes | None) -> bytes:
    """Read the nonce of a challenge."""
    match = re.search(rb'nonce="([^"]*)"', challenge or b"")
    assert match
    return match[1]


def test_jdk_client_authenticates_to_our_server(jdk: SaslProgram) -> None:
    """The JDK's client is taken, and takes our proof."""
    client = JdkMechanism(jdk, f"digest-client {SECRET_HEX} pacemaker-client")
    server = DigestServer(SECRET)
    run_exchange(client, server)
    assert client.complete
    assert server.user == USER


def test_our_client_authenticates_to_the_jdk_server(jdk: SaslProgram) -> None:
    """Our client is taken by the JDK's server, and takes its proof."""
    client = DigestClient(SECRET, "pacemaker-client")
    server = jdk_server(jdk)
    run_exchange(client, server)
    assert client.complete
    assert server.user == USER


def test_challenge_has_the_form_of_the_jdks(jdk: SaslProgram) -> None:
    """But for the nonce, our challenge is the JDK's to the byte."""
    ours, theirs = DigestServer(SECRET).step(b""), jdk_server(jdk).step(b"")
    assert theirs is not None
    assert len(ours) == len(theirs)
    assert ours.replace(nonce_of(ours), b"") == theirs.replace(nonce_of(theirs), b"")


def test_wrong_secrets_are_refused_both_ways(jdk: SaslProgram) -> None:
    """With another secret neither server takes the other's client."""
    stranger = JdkMechanism(jdk, f"digest-client {'0' * 128} pacemaker-client")
    with pytest.raises(AuthenticationError, match="wrong secret"):
        run_exchange(stranger, DigestServer(SECRET))
    with pytest.raises(AuthenticationError, match="the JDK refuses"):
        run_exchange(DigestClient(Secret("0" * 128), "x"), jdk_server(jdk))


def test_jdk_client_refuses_another_servers_proof(jdk: SaslProgram) -> None:
    """The JDK's client notices a proof that is not of its own exchange."""
    client = JdkMechanism(jdk, f"digest-client {SECRET_HEX} pacemaker-client")
    server = DigestServer(SECRET)
    proof = server.step(client.step(server.step(b"")) or b"")
    with pytest.raises(AuthenticationError, match="the JDK refuses"):
        client.step(proof[:-1] + bytes([proof[-1] ^ 1]))


def takes(server: DigestServer | JdkMechanism, response: bytes) -> bool:
    """Tell whether a server takes a response."""
    with contextlib.suppress(AuthenticationError):
        server.step(response)
    return server.complete


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_jdk_server_decides_as_listed(jdk: SaslProgram, case: Case) -> None:
    """The table of crafted responses is right about the JDK."""
    server = jdk_server(jdk)
    nonce = nonce_of(server.step(b""))
    assert takes(server, case.response_to(nonce)) is case.jdk_verdict


def generated(chance: random.Random) -> Responder:
    """Make up a response: some odd directives of the table, and some odd bytes."""
    case = Case("generated", True)
    for part in chance.sample(CASES, chance.randint(1, 3)):
        case = case._replace(
            changes={**case.changes, **part.changes},
            hashed={**case.hashed, **part.hashed},
            tail=(case.tail + part.tail)[:200],
        )
    if chance.random() < 0.5:
        return case.response_to
    odd = bytes(chance.choices(b'=,," \t\\axQ0', k=chance.randint(1, 3)))
    where, cut_bytes = chance.random(), chance.choice((0, 0, 1, 3))

    def respond(nonce: bytes) -> bytes:
        text = case.response_to(nonce)
        start = int(where * len(text))
        return text[:start] + odd + text[start + cut_bytes :]

    return respond


def is_listed_as_stricter(token: bytes) -> bool:
    """Tell whether a response is one that ours alone may refuse."""
    last = re.split(rb"[,\s]", token.rstrip(b", \t\r\n"))[-1]
    return b"=" not in last or not token.isascii() or b"\x01" in token


def test_both_servers_decide_alike_on_generated_responses(jdk: SaslProgram) -> None:
    """Thousands of made-up responses get the same verdict, or a listed stricter one."""
    chance = random.Random(SEED)  # noqa: S311  # repeatable, not secret
    taken = refused = 0
    for _ in range(GENERATED):
        respond = generated(chance)
        # To the same bytes, nonce included: what is odd may lie within it.
        server = jdk_server(jdk)
        nonce = nonce_of(server.step(b""))
        token = respond(nonce)
        theirs = takes(server, token)
        ours = takes(DigestServer(SECRET, nonce.decode("ascii")), token)
        if ours is not theirs:
            assert theirs, f"taken by us alone: {token!r}"
            assert is_listed_as_stricter(token), f"refused by us alone: {token!r}"
        taken += theirs
        refused += not theirs
    assert min(taken, refused) > GENERATED // 10
