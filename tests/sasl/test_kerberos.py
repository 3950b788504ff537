"""Tests of pacemaker.sasl.kerberos: the exchange, over a fake of GSSAPI.

tests/real/test_sasl_kerberos.py has the same with MIT's library and a KDC.
"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.kerberos import KerberosServer, is_authorised
from tests.sasl.fake_gss import FakeAcceptor, wrap

NIMBUS = "nimbus@EXAMPLE.COM"
AP_REQ = b"ap-req:" + NIMBUS.encode()
OFFER = wrap(b"\x01\x01\x00\x00")
CHOICE = b"\x01\x00\x00\x00"


def server(*, mutual: bool = False, user: str | None = "nimbus") -> KerberosServer:
    """Make a server whose GSSAPI is the fake."""
    return KerberosServer(FakeAcceptor(mutual), user)


def offered(peer: str = NIMBUS, user: str | None = "nimbus") -> KerberosServer:
    """Make a server that has authenticated a peer and made its offer."""
    mechanism = server(user=user)
    assert mechanism.step(b"ap-req:" + peer.encode()) == OFFER
    return mechanism


def test_server_without_mutual_authentication_offers_at_once() -> None:
    """The JDK's way: the ticket, the offer, the choice."""
    mechanism = server()
    assert mechanism.step(AP_REQ) == OFFER
    assert not mechanism.complete
    assert mechanism.user is None
    assert mechanism.step(wrap(CHOICE + NIMBUS.encode())) is None
    assert mechanism.complete
    assert mechanism.user == NIMBUS


def test_server_with_mutual_authentication_awaits_an_empty_token() -> None:
    """pure-sasl's way: an answer to the ticket, an empty token, then the offer."""
    mechanism = server(mutual=True)
    assert mechanism.step(AP_REQ) == b"ap-rep"
    assert mechanism.step(b"") == OFFER
    assert mechanism.step(wrap(CHOICE + NIMBUS.encode())) is None
    assert mechanism.complete


def test_server_with_mutual_authentication_refuses_a_full_token() -> None:
    """Where the empty token is due, no other is taken."""
    mechanism = server(mutual=True)
    mechanism.step(AP_REQ)
    with pytest.raises(AuthenticationError, match="an empty token is expected"):
        mechanism.step(wrap(CHOICE))


def test_server_goes_on_while_the_context_is_not_established() -> None:
    """A mechanism of several rounds is carried to its end."""
    mechanism = server()
    assert mechanism.step(b"round:1") == b"another round"
    assert mechanism.step(b"round:2") == b"another round"
    assert mechanism.step(AP_REQ) == OFFER


def test_server_takes_no_name_for_the_own_one() -> None:
    """A client that names nobody acts as itself."""
    mechanism = offered()
    mechanism.step(wrap(CHOICE))
    assert mechanism.user == NIMBUS


@pytest.mark.parametrize(
    "choice",
    [
        b"",
        b"\x01\x00\x00",
        b"\x00\x00\x00\x00",
        b"\x02\x00\x00\x00",
        b"\x03\x00\x00\x00",
        b"\x04\x00\x00\x00",
        b"\x05\x00\x00\x00",
    ],
)
def test_server_refuses_a_protection_that_it_did_not_offer(choice: bytes) -> None:
    """Authentication alone is the only choice, and it has four bytes."""
    with pytest.raises(AuthenticationError, match="protection not offered"):
        offered().step(wrap(choice))


@pytest.mark.parametrize(
    "authzid",
    [
        b"nimbus",
        b"other@EXAMPLE.COM",
        b"nimbus@OTHER.COM",
        b"NIMBUS@EXAMPLE.COM",
        NIMBUS.encode() + b"\0",
        b"\xff",
    ],
)
def test_server_refuses_another_authzid(authzid: bytes) -> None:
    """Nobody acts as another, nor as a shorter form of its own name."""
    with pytest.raises(AuthenticationError, match="act as another user"):
        offered().step(wrap(CHOICE + authzid))


@pytest.mark.parametrize("user", [None, "", "other", "nimbus@EXAMPLE.COM"])
def test_server_refuses_whom_nimbus_daemon_user_does_not_name(
    user: str | None,
) -> None:
    """Where another is named, or nobody, a genuine ticket is not enough."""
    mechanism = offered(user=user)
    with pytest.raises(AuthenticationError, match=r"not nimbus\.daemon\.user"):
        mechanism.step(wrap(CHOICE))
    assert mechanism.user is None


def test_server_refuses_an_unwrapped_choice() -> None:
    """A choice that GSSAPI does not vouch for is refused."""
    with pytest.raises(AuthenticationError, match="refuses the message"):
        offered().step(CHOICE)


def test_server_takes_nothing_after_its_end() -> None:
    """Complete or refused, the exchange is over."""
    mechanism = offered()
    mechanism.step(wrap(CHOICE))
    refused = server()
    with pytest.raises(AuthenticationError, match="refuses the token"):
        refused.step(b"junk")
    for ended in (mechanism, refused):
        with pytest.raises(AuthenticationError, match="no token is expected"):
            ended.step(AP_REQ)


@pytest.mark.parametrize(
    ("principal", "user", "authorised"),
    [
        ("nimbus@EXAMPLE.COM", "nimbus", True),
        ("nimbus/host.example.com@EXAMPLE.COM", "nimbus", True),
        ("nimbus@OTHER.COM", "nimbus", True),
        ("nimbus", "nimbus", True),
        ("Nimbus@EXAMPLE.COM", "nimbus", False),
        ("nimbus2@EXAMPLE.COM", "nimbus", False),
        ("other/nimbus@EXAMPLE.COM", "nimbus", False),
        ("/nimbus@EXAMPLE.COM", "nimbus", False),
        ("@EXAMPLE.COM", "", False),
        ("nimbus@EXAMPLE.COM", None, False),
    ],
)
def test_is_authorised_by_storms_rule(
    principal: str, user: str | None, authorised: bool
) -> None:
    """The part before the first slash or at sign decides, and nothing else."""
    assert is_authorised(principal, user) is authorised


_TOKENS = st.one_of(
    st.sampled_from([b"", AP_REQ, b"round:", wrap(CHOICE), wrap(b"")]),
    st.binary(max_size=40),
    st.binary(max_size=40).map(wrap),
)


@given(st.booleans(), st.lists(_TOKENS, max_size=6))
def test_server_meets_any_tokens_with_a_state_or_a_refusal(
    mutual: bool, tokens: list[bytes]
) -> None:
    """Whatever comes, in whatever state: the next state or AuthenticationError."""
    mechanism = server(mutual=mutual)
    for token in tokens:
        with contextlib.suppress(AuthenticationError):
            mechanism.step(token)
        assert mechanism.complete == (mechanism.user == NIMBUS)
