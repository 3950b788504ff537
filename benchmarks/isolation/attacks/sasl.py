"""Attacks by guessing passwords."""

from __future__ import annotations

import re

from benchmarks.isolation import wire
from benchmarks.isolation.attack import Attack, Talk

_RESPONSE = (
    b'charset=utf-8,username="cGFjZW1ha2VyLWNsaWVudA==",realm="default",'
    b'nonce="%b",nc=00000001,cnonce="QkJCQkJCQkJCQkJCQkJCQkJCQkJC",'
    b'digest-uri="null/default",maxbuf=65536,response=%032x,qop=auth'
)


def _guess(number: int) -> Talk:
    yield wire.TOKEN_REQUEST
    challenge = yield b""
    nonce = re.search(rb'nonce="([^"]*)"', challenge)
    if nonce is not None:
        yield wire.sasl_token(_RESPONSE % (nonce[1], number))
        # Wait for the end of the connection, which the daemon delays after failures.
        yield b""


ATTACKS = (
    Attack(
        "guesses",
        "wrong DIGEST responses over 1,500 connections, while Nimbus and others log in",
        1500,
        lambda: _guess,
        churns=True,
        is_digest=True,
        goes_with_all=False,
    ),
)
