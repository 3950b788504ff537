"""Tests of pacemaker.sasl.digest, and of pacemaker.sasl.directives through it."""

from __future__ import annotations

import base64
import contextlib
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.digest import DigestClient, DigestServer, digest_secret
from pacemaker.sasl.directives import read_directives
from pacemaker.sasl.secret import Secret
from tests.sasl.exchange import run_exchange
from tests.sasl.responses import CASES, CNONCE, SECRET_HEX, USER, Case, digest_value

SECRET = digest_secret("u", Secret("p"))
NONCE = "A" * 40
USUAL = CASES[0].response_to(NONCE.encode())


def challenge(**changes: str) -> bytes:
    """Write the challenge that Storm's server sends, or one that differs."""
    usual = {"realm": "default", "nonce": NONCE, "charset": "utf-8"}
    given = {**usual, "algorithm": "md5-sess", **changes}
    return ",".join(f'{key}="{value}"' for key, value in given.items()).encode()


def client() -> DigestClient:
    """Make a client with a known nonce."""
    return DigestClient(SECRET, "pacemaker-client", CNONCE)


def test_secret_is_storms() -> None:
    """The shared secret is what Storm makes of user name and password."""
    assert SECRET.reveal() == SECRET_HEX
    assert SECRET_HEX.startswith("26e3b05dd9a4e1fd")


def test_server_challenges_as_the_jdk_does() -> None:
    """The challenge has the JDK's directives, in their order, and 30 random bytes."""
    token = DigestServer(SECRET).step(b"")
    before, nonce, after = token.split(b'"')[2:5]
    assert token.startswith(b'realm="default",nonce="')
    assert (before, after) == (b",nonce=", b",charset=utf-8,algorithm=md5-sess")
    assert len(base64.b64decode(nonce, validate=True)) == 30


def test_server_never_challenges_twice_with_one_nonce() -> None:
    """Each exchange has a nonce of its own."""
    assert DigestServer(SECRET).step(b"") != DigestServer(SECRET).step(b"")


@pytest.mark.parametrize(
    ("nonce", "cnonce", "authzid", "response", "rspauth"),
    [
        (
            "A" * 40,
            "B" * 40,
            None,
            "48690d9d9c65a03f91afb8a3dcba9b64",
            "5680bca2817325e1d3206242ba4c30fa",
        ),
        (
            "A" * 40,
            "B" * 40,
            USER,
            "1d01249ba20fd3ad3fc35e6ea37c1aa4",
            "60587d35e1ca755022774dca74f749e8",
        ),
        (
            "5IbT6Hp8IWHN2nJyTQraJIberX4lXFhc1aIawWO8",
            "i4dz20Wyh82/E3bNVZVbt3mMT8QiWix37JIOXkFM",
            None,
            "c36cc1fbb81a1d3576a19e9b1af6bdd9",
            "7082e72b9fa8f00936043301661c2757",
        ),
    ],
)
def test_server_takes_what_the_jdk_computed(
    nonce: str, cnonce: str, authzid: str | None, response: str, rspauth: str
) -> None:
    """The server takes the JDK's hashes, and proves itself with the JDK's."""
    server = DigestServer(SECRET, nonce)
    token = (
        f'charset=utf-8,username="{USER}",realm="default",nonce="{nonce}",nc=00000001,'
        f'cnonce="{cnonce}",digest-uri="null/default",maxbuf=65536,'
        f"response={response},qop=auth" + (f',authzid="{authzid}"' if authzid else "")
    )
    assert server.step(token.encode()) == f"rspauth={rspauth}".encode()
    assert server.complete
    assert server.user == USER


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_server_decides_as_listed(case: Case) -> None:
    """Each crafted response is taken or refused as the table has it."""
    server = DigestServer(SECRET, NONCE)
    with contextlib.suppress(AuthenticationError):
        server.step(case.response_to(NONCE.encode()))
    assert server.complete is case.accepted
    assert (server.user is not None) is case.accepted


def test_server_gives_one_try() -> None:
    """After a wrong response the right one is refused too."""
    server = DigestServer(SECRET, NONCE)
    with pytest.raises(AuthenticationError, match="wrong secret"):
        server.step(USUAL.replace(b"48690d9d", b"00000000"))
    with pytest.raises(AuthenticationError, match="no token is expected"):
        server.step(USUAL)


def test_server_refuses_a_replayed_response() -> None:
    """A response to another challenge is refused, whatever was right about it."""
    server = DigestServer(SECRET)
    server.step(b"")
    with pytest.raises(AuthenticationError, match="nonce is not from this challenge"):
        server.step(USUAL)


def test_server_refuses_a_token_before_its_challenge() -> None:
    """The first step takes the empty token alone."""
    with pytest.raises(AuthenticationError, match="before the challenge"):
        DigestServer(SECRET).step(USUAL)


def test_client_answers_as_the_jdk_does() -> None:
    """The response is, to the byte, the one of the JDK's client."""
    assert client().step(challenge()) == USUAL


def test_client_and_server_authenticate_each_other() -> None:
    """Both halves agree, each knows, and neither takes more tokens."""
    ours, theirs = client(), DigestServer(SECRET)
    run_exchange(ours, theirs)
    assert ours.complete
    assert theirs.complete
    for mechanism in (ours, theirs):
        with pytest.raises(AuthenticationError, match="no token is expected"):
            mechanism.step(b"")


def test_client_with_another_secret_is_refused() -> None:
    """Who does not know the secret is not authenticated."""
    stranger = DigestClient(digest_secret("u", Secret("q")), "pacemaker-client")
    with pytest.raises(AuthenticationError, match="wrong secret"):
        run_exchange(stranger, DigestServer(SECRET))


def test_client_escapes_an_odd_nonce() -> None:
    """A nonce with a quote in it comes back as it was sent."""
    nonce = rb"a\"b\\c"
    token = challenge(nonce=nonce.decode())
    answer = dict(read_directives(client().step(token) or b""))
    assert answer["nonce"] == rb'a"b\c'
    assert answer["response"] == digest_value(rb'a"b\c')


@pytest.mark.parametrize(
    "rspauth",
    [
        b"",
        b"rspauth=",
        b"rspauth=" + b"0" * 32,
        b"rspauth=" + digest_value(NONCE.encode()),
        digest_value(NONCE.encode(), verb=b""),
    ],
)
def test_client_refuses_a_server_without_the_secret(rspauth: bytes) -> None:
    """A server that cannot prove that it has the secret is not believed."""
    mechanism = client()
    mechanism.step(challenge())
    with pytest.raises(AuthenticationError):
        mechanism.step(rspauth)
    assert not mechanism.complete


@pytest.mark.parametrize(
    "token",
    [
        b"",
        challenge(realm="other"),
        challenge(algorithm="md5"),
        challenge(charset="latin-1"),
        challenge(qop="auth-int,auth-conf"),
        challenge() + b',nonce="again"',
        challenge().replace(b"nonce=", b"ecnon="),
        challenge() + b',x="',
        challenge(x="y" * 2048),
    ],
)
def test_client_refuses_a_challenge_that_is_not_storms(token: bytes) -> None:
    """What Storm's server would not send is not answered."""
    with pytest.raises(AuthenticationError):
        client().step(token)


def test_client_takes_a_challenge_that_offers_more() -> None:
    """Security layers may be offered beside plain authentication, and realms too."""
    token = challenge(qop="auth-int, auth") + b',realm="other"'
    assert client().step(token) == USUAL


def _spoilt(token: bytes) -> st.SearchStrategy[bytes]:
    """Make tokens that differ from a right one in a few places, or in all."""
    cut = st.integers(0, len(token))
    spliced = st.builds(
        lambda start, end, put: token[:start] + put + token[end:],
        cut,
        cut,
        st.binary(max_size=8),
    )
    return st.one_of(st.just(token), spliced, st.binary(max_size=5000))


@given(st.lists(st.one_of(st.just(b""), _spoilt(USUAL)), max_size=4))
def test_server_meets_any_tokens_with_a_state_or_a_refusal(tokens: list[bytes]) -> None:
    """Whatever comes, in whatever state: the next state or AuthenticationError."""
    for server in (DigestServer(SECRET), DigestServer(SECRET, NONCE)):
        for token in tokens:
            with contextlib.suppress(AuthenticationError):
                server.step(token)
            assert server.complete == (server.user is not None)


@given(st.lists(_spoilt(challenge()), max_size=3))
def test_client_meets_any_tokens_with_a_state_or_a_refusal(tokens: list[bytes]) -> None:
    """Whatever comes, in whatever state: the next state or AuthenticationError."""
    mechanism = client()
    for token in tokens:
        with contextlib.suppress(AuthenticationError):
            mechanism.step(token)
        assert not mechanism.complete


@given(_spoilt(USUAL))
def test_server_believes_nobody_without_the_secret(token: bytes) -> None:
    """Nothing that lacks the right hash is taken."""
    server = DigestServer(digest_secret("u", Secret("another")), NONCE)
    with pytest.raises(AuthenticationError):
        server.step(token)


def test_secret_stays_out_of_reprs_and_tracebacks() -> None:
    """Neither the secret nor its base64 shows, not even among local variables."""
    ours, theirs = client(), DigestServer(SECRET, NONCE)
    shown = [repr(ours), repr(theirs)]
    for mechanism, token in ((ours, b""), (theirs, USUAL.replace(b"48690", b"00000"))):
        try:
            mechanism.step(token)
        except AuthenticationError as exc:
            report = traceback.TracebackException.from_exception(
                exc, capture_locals=True
            )
            shown.extend(report.format())
    text = "".join(shown)
    assert "wrong secret" in text
    assert SECRET_HEX not in text
    assert base64.b64encode(SECRET_HEX.encode()).decode() not in text
