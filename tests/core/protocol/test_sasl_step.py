"""Tests of pacemaker.core.protocol.sasl_step."""

from __future__ import annotations

from pacemaker.core.protocol.sasl_step import SaslStep
from pacemaker.errors import AuthenticationError
from tests.fake_mechanisms import (
    REFUSED,
    like_digest,
    like_kerberos,
)


def test_steps_pass_the_tokens_on_until_the_exchange_is_complete() -> None:
    """Each one returns the mechanism's token, and only the last one is the last."""
    mechanism = like_digest()
    first, second = SaslStep(mechanism, b""), SaslStep(mechanism, b"response")
    assert (first.run(), first.is_last) == (b"challenge", False)
    assert (second.run(), second.is_last) == (b"rspauth", True)
    assert mechanism.tokens_rcvd == [b"", b"response"]


def test_refusal_is_returned_and_not_raised() -> None:
    """The thread that runs the step passes the error on as its outcome."""
    step = SaslStep(like_digest(), REFUSED)
    assert isinstance(step.run(), AuthenticationError)
    assert not step.is_last


def test_step_is_as_slow_as_its_mechanism() -> None:
    """Only the steps of a slow mechanism, such as Kerberos, leave the I/O thread."""
    assert not SaslStep(like_digest(), b"").is_slow
    assert SaslStep(like_kerberos(), b"").is_slow
