"""DIGEST: SASL DIGEST-MD5 (RFC 2831) as Storm and the JDK implement it, both halves.

Storm creates the JDK's DIGEST-MD5 server without a protocol, with the server name
`default` and without a list of protections.  This determines the constants here: the
realm is `default`, the digest-uri `null/default`, and the challenge has no qop.  There
are no individual passwords: everyone with the user name and password of the JAAS
section shares one secret (Storm's ClientAuthUtils.makeDigestPayload), and a client may
choose any name.

The server refuses everything that the JDK's DigestMD5Server refuses.  It is stricter in
two ways that affect no client: a user name must be UTF-8, and numbers must have ASCII
digits.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from pacemaker.errors import AuthenticationError
from pacemaker.sasl.directives import read_directives
from pacemaker.sasl.secret import Secret

METHOD: Final = "DIGEST"
REALM: Final = b"default"
DIGEST_URI: Final = b"null/default"

# The longest response that RFC 2831 allows and the JDK accepts.
MAX_RESPONSE_BYTES: Final = 4096

# The longest challenge that RFC 2831 allows and the JDK accepts.
MAX_CHALLENGE_BYTES: Final = 2048

# Random bytes in a nonce, as in the JDK: 40 characters of base64.
NONCE_BYTES: Final = 30

# The number of characters of a refused client's name in the log.
MAX_SHOWN_NAME_CHARACTERS: Final = 100

# The directives that the JDK's server evaluates, and so accepts only once.  `nc`, which
# clients really send for nonce-count, is not among them.
_KNOWN_DIRECTIVES: Final = frozenset(
    (
        "username",
        "realm",
        "nonce",
        "cnonce",
        "nonce-count",
        "qop",
        "digest-uri",
        "response",
        "maxbuf",
        "charset",
        "cipher",
        "authzid",
        "auth-param",
    )
)

_DECIMAL: Final = re.compile(rb"[+-]?[0-9]+")
_HEXADECIMAL_ONE: Final = re.compile(rb"\+?0*1")


def digest_secret(user_name: str, password: Secret) -> Secret:
    """Compute Storm's secret from a JAAS section's user name and password."""
    return Secret(
        hashlib.sha512(f"{user_name}:{password.reveal()}".encode()).hexdigest()
    )


class DigestServer:
    """The server's half: a challenge, then one attempt to answer it.

    Args:
        secret: the result of `digest_secret`.
        nonce: the nonce of the challenge, if that has already been sent.
    """

    name = METHOD
    begins_with_request = True
    completion_count = 1
    is_slow = False

    def __init__(self, secret: Secret, nonce: str | None = None) -> None:
        self._secret = secret
        self._phase = (
            _Phase.CHALLENGE_EXPECTED if nonce is None else _Phase.RESPONSE_EXPECTED
        )
        self._nonce = (nonce or _random_text()).encode("ascii")
        self._user: str | None = None

    def __repr__(self) -> str:
        return f"<DigestServer {self._phase.name}>"

    @property
    def complete(self) -> bool:
        """Whether the client has proved that it knows the secret."""
        return self._phase is _Phase.COMPLETE

    @property
    def user(self) -> str | None:
        """The client's chosen name in base64, once complete."""
        return self._user if self.complete else None

    def step(self, token: bytes) -> bytes:
        """Return the challenge for the empty token, then `rspauth` for the response.

        Raises:
            AuthenticationError: the token is refused; the exchange is over.
        """
        phase, self._phase = self._phase, _Phase.OVER
        if phase is _Phase.CHALLENGE_EXPECTED:
            return self._challenge(token)
        if phase is _Phase.RESPONSE_EXPECTED:
            return self._judge(token)
        raise AuthenticationError("no token is expected")

    def _challenge(self, token: bytes) -> bytes:
        if token:
            raise AuthenticationError("a token came before the challenge")
        self._phase = _Phase.RESPONSE_EXPECTED
        return b'realm="%b",nonce="%b",charset=utf-8,algorithm=md5-sess' % (
            REALM,
            self._nonce,
        )

    def _judge(self, token: bytes) -> bytes:
        given = _read_response(token)
        for reason, holds in _RESPONSE_RULES:
            if not holds(given):
                raise AuthenticationError(reason)
        if given.get("nonce") != self._nonce:
            raise AuthenticationError("the nonce is not from this challenge")
        user = _text(given["username"])
        proof = _Proof(self._secret, given)
        if not hmac.compare_digest(given["response"], proof.of_client()):
            raise AuthenticationError(
                "wrong secret", repr(user[:MAX_SHOWN_NAME_CHARACTERS])
            )
        if given.get("authzid", given["username"]) != given["username"]:
            raise AuthenticationError(
                "asks to act as another user", repr(user[:MAX_SHOWN_NAME_CHARACTERS])
            )
        self._user = user
        self._phase = _Phase.COMPLETE
        return b"rspauth=" + proof.of_server()


class DigestClient:
    """The client's half: answers the challenge, and verifies the server's proof.

    Args:
        secret: the result of `digest_secret`.
        client_name: the client's name; Storm sends the topology's name, or
            `pacemaker-client`.
        cnonce: the client's nonce; random by default.
    """

    name = METHOD
    begins_with_request = True
    completion_count = 1

    def __init__(
        self, secret: Secret, client_name: str, cnonce: str | None = None
    ) -> None:
        self._secret = secret
        self._username = base64.b64encode(client_name.encode())
        self._cnonce = (cnonce or _random_text()).encode("ascii")
        self._phase = _Phase.CHALLENGE_EXPECTED
        self._rspauth = b""

    def __repr__(self) -> str:
        return f"<DigestClient {self._phase.name}>"

    @property
    def complete(self) -> bool:
        """Whether the server has proved that it knows the secret too."""
        return self._phase is _Phase.COMPLETE

    def step(self, token: bytes) -> bytes | None:
        """Return the response to the challenge, then None for a correct `rspauth`.

        Raises:
            AuthenticationError: the token is refused; the exchange is over.
        """
        phase, self._phase = self._phase, _Phase.OVER
        if phase is _Phase.CHALLENGE_EXPECTED:
            return self._respond(token)
        if phase is _Phase.RESPONSE_EXPECTED:
            self._check_server(token)
            return None
        raise AuthenticationError("no token is expected")

    def _respond(self, challenge: bytes) -> bytes:
        nonce = _read_challenge(challenge)
        given = {
            "username": self._username,
            "nonce": nonce,
            "cnonce": self._cnonce,
            "digest-uri": DIGEST_URI,
        }
        proof = _Proof(self._secret, given)
        self._rspauth = proof.of_server()
        self._phase = _Phase.RESPONSE_EXPECTED
        return (
            b'charset=utf-8,username="%b",realm="%b",nonce="%b",nc=00000001,'
            b'cnonce="%b",digest-uri="%b",maxbuf=65536,response=%b,qop=auth'
            % (
                self._username,
                REALM,
                re.sub(rb'(["\\])', rb"\\\1", nonce),
                self._cnonce,
                DIGEST_URI,
                proof.of_client(),
            )
        )

    def _check_server(self, token: bytes) -> None:
        rspauth = dict(read_directives(token)).get("rspauth", b"")
        if not hmac.compare_digest(rspauth, self._rspauth):
            raise AuthenticationError("the server does not know the secret")
        self._phase = _Phase.COMPLETE


class _Phase(enum.Enum):
    CHALLENGE_EXPECTED = enum.auto()
    RESPONSE_EXPECTED = enum.auto()
    COMPLETE = enum.auto()
    OVER = enum.auto()
    """Set at the start of each step, and kept unless the step succeeds."""


class _Proof:
    """Computes the proofs that a side knows the secret (RFC 2831, 2.1.2.1)."""

    def __init__(self, secret: Secret, given: Mapping[str, bytes]) -> None:
        inner = hashlib.md5(
            b":".join(
                (
                    _latin1_where_possible(given["username"]),
                    REALM,
                    base64.b64encode(secret.reveal().encode()),
                )
            ),
            usedforsecurity=False,
        ).digest()
        session = [inner, given["nonce"], given["cnonce"]]
        if "authzid" in given:
            session.append(given["authzid"])
        self._key = _md5_hex(*session)
        self._given = given

    def of_client(self) -> bytes:
        return self._value(b"AUTHENTICATE")

    def of_server(self) -> bytes:
        return self._value(b"")

    def _value(self, verb: bytes) -> bytes:
        given = self._given
        request = _md5_hex(verb, given["digest-uri"])
        nonces = (given["nonce"], b"00000001", given["cnonce"])
        return _md5_hex(self._key, *nonces, b"auth", request)


def _read_response(token: bytes) -> dict[str, bytes]:
    if len(token) > MAX_RESPONSE_BYTES:
        raise AuthenticationError("the response is too long", f"{len(token)} bytes")
    given: dict[str, bytes] = {}
    for key, value in read_directives(token):
        if key in given:
            raise AuthenticationError("a directive is given twice", key)
        if key in _KNOWN_DIRECTIVES:
            given[key] = value
    return given


def _read_challenge(token: bytes) -> bytes:
    if len(token) > MAX_CHALLENGE_BYTES:
        raise AuthenticationError("the challenge is too long", f"{len(token)} bytes")
    given: dict[str, list[bytes]] = {}
    for key, value in read_directives(token):
        given.setdefault(key, []).append(value)
    if REALM not in given.get("realm", ()):
        raise AuthenticationError(f"the challenge lacks the realm {REALM.decode()}")
    if given.get("algorithm") != [b"md5-sess"] or given.get("charset") != [b"utf-8"]:
        raise AuthenticationError("the challenge is not for md5-sess and utf-8")
    offered = b",".join(given.get("qop", [b"auth"]))
    if b"auth" not in (qop.strip() for qop in offered.split(b",")):
        raise AuthenticationError("the challenge asks for a security layer")
    nonces = given.get("nonce", ())
    if len(nonces) != 1:
        raise AuthenticationError("the challenge must have exactly one nonce")
    return nonces[0]


def _is_int32(digits: bytes) -> bool:
    # Check the length first: parsing time grows with the square of the length.
    if not _DECIMAL.fullmatch(digits):
        return False
    digits = re.sub(rb"\A([+-]?)0+(?=.)", rb"\1", digits)
    return len(digits) <= len(b"-2147483648") and -(2**31) <= int(digits) < 2**31


_RESPONSE_RULES: Final[
    tuple[tuple[str, Callable[[Mapping[str, bytes]], bool]], ...]
] = (
    ("the charset is not utf-8", lambda it: it.get("charset", b"utf-8") == b"utf-8"),
    ("maxbuf is not a number", lambda it: _is_int32(it.get("maxbuf", b"65536"))),
    ("the user name is missing", lambda it: bool(it.get("username"))),
    ("the realm is not this server's", lambda it: it.get("realm") == REALM),
    ("the cnonce is missing", lambda it: "cnonce" in it),
    (
        "the nonce-count is not 1",
        lambda it: bool(_HEXADECIMAL_ONE.fullmatch(it.get("nonce-count", b"1"))),
    ),
    ("the qop is not auth", lambda it: it.get("qop", b"auth") == b"auth"),
    (
        "the digest-uri is not this server's",
        lambda it: it.get("digest-uri", b"").lower() == DIGEST_URI,
    ),
    ("the response is missing", lambda it: "response" in it),
)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as exc:
        raise AuthenticationError("the user name is not UTF-8") from exc


def _latin1_where_possible(name: bytes) -> bytes:
    # RFC 2831, 2.1.2.1: a name within ISO 8859-1 is hashed in that charset.
    try:
        return name.decode().encode("latin-1")
    except UnicodeError:
        return name


def _random_text() -> str:
    return base64.b64encode(secrets.token_bytes(NONCE_BYTES)).decode("ascii")


def _md5_hex(*parts: bytes) -> bytes:
    # The protocol requires MD5; it is still sound as a keyed proof over fresh nonces.
    return (
        hashlib.md5(b":".join(parts), usedforsecurity=False).hexdigest().encode("ascii")
    )
