"""Crafted DIGEST responses, and the verdict of the JDK's server on each.

The hashes are computed here independently, by RFC 2831, so that the tests do not repeat
a mistake of the code under test.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

SECRET_HEX = hashlib.sha512(b"u:p").hexdigest()
USER = "cGFjZW1ha2VyLWNsaWVudA=="
CNONCE = "B" * 40


def _h(*parts: bytes) -> bytes:
    return hashlib.md5(b":".join(parts), usedforsecurity=False).digest()


def _hex(*parts: bytes) -> bytes:
    return _h(*parts).hex().encode()


def digest_value(
    nonce: bytes,
    *,
    verb: bytes = b"AUTHENTICATE",
    secret: bytes = SECRET_HEX.encode(),
    username: bytes = USER.encode(),
    realm: bytes = b"default",
    cnonce: bytes = CNONCE.encode(),
    uri: bytes = b"null/default",
    qop: bytes = b"auth",
    authzid: bytes | None = None,
) -> bytes:
    """Compute a response-value of RFC 2831, 2.1.2.1."""
    password = base64.b64encode(secret)
    session = [_h(username, realm, password), nonce, cnonce]
    if authzid is not None:
        session.append(authzid)
    nonces = (nonce, b"00000001", cnonce)
    layer = [] if qop == b"auth" else [b"0" * 32]
    return _hex(_hex(*session), *nonces, qop, _hex(verb, uri, *layer))


class Case(NamedTuple):
    """One response.

    Attributes:
        name: what is odd about it.
        accepted: whether ours takes it.
        changes: directives put in place of the usual ones, as raw text; None
            leaves one out.
        hashed: what the hash is computed of, where that is not the usual.
        tail: raw text behind the last directive.
        jdk_accepts: whether the JDK takes it, where it decides otherwise.
        raw: the whole response instead of all that; `%s` is the usual one.
    """

    name: str
    accepted: bool
    changes: Mapping[str, bytes | None] = {}
    hashed: Mapping[str, bytes] = {}
    tail: bytes = b""
    jdk_accepts: bool | None = None
    raw: bytes | None = None

    @property
    def jdk_verdict(self) -> bool:
        """Whether the JDK takes it."""
        return self.accepted if self.jdk_accepts is None else self.jdk_accepts

    def response_to(self, nonce: bytes) -> bytes:
        """Write the response out, for a challenge with this nonce."""
        hashed = {"nonce": nonce, **self.hashed}
        value = digest_value(**hashed)
        usual: dict[str, bytes | None] = {
            "charset": b"utf-8",
            "username": b'"%b"' % USER.encode(),
            "realm": b'"default"',
            "nonce": b'"%b"' % nonce,
            "nc": b"00000001",
            "cnonce": b'"%b"' % CNONCE.encode(),
            "digest-uri": b'"null/default"',
            "maxbuf": b"65536",
            "response": value,
            "qop": b"auth",
        }
        given = {**usual, **self.changes}
        text = b",".join(
            key.encode() + b"=" + raw for key, raw in given.items() if raw is not None
        )
        text += self.tail
        return text if self.raw is None else self.raw.replace(b"%s", text)


def _padding(total_bytes: int) -> bytes:
    usual = len(Case("", True).response_to(b"A" * 40))
    return b",x=" + b"y" * (total_bytes - usual - 3)


CASES = (
    Case("as the JDK's client writes it", True),
    # What is absent, or odd, and does no harm.
    Case("without a charset", True, {"charset": None}),
    Case("without a qop", True, {"qop": None}),
    Case("without a maxbuf", True, {"maxbuf": None}),
    Case("without nc", True, {"nc": None}),
    Case("with another nc", True, {"nc": b"0000002a"}),
    Case("with nc twice", True, tail=b",nc=00000001"),
    Case("with empty elements", True, tail=b",,, ,"),
    Case("with elements before the first", True, raw=b" ,\t,%s"),
    Case("with an unknown directive", True, tail=b",colour=blue"),
    Case("with an unknown directive twice", True, tail=b",x=1,x=2"),
    Case("with an empty unknown directive", True, tail=b",x=,y=2"),
    Case("with blanks in place of commas", True, tail=b" x=1\r\ny=2"),
    Case("with blanks around an equals sign", True, tail=b",x \t=\r\n 1"),
    Case("with a quoted comma", True, tail=b',x="a,b=c"'),
    Case("with an escaped quote", True, tail=b',x="a\\"b"'),
    Case("with a quote in a plain value", True, tail=b',x=a"b'),
    Case("with escapes in a value", True, {"realm": b'"\\d\\e\\f\\a\\u\\l\\t"'}),
    Case("with keys in capitals", True, {"realm": None}, tail=b',REALM="default"'),
    Case("with plain values", True, {"realm": b"default", "nc": b'"1"'}),
    Case("with a quoted response", True, {"qop": b'"auth"'}),
    Case(
        "with the digest-uri in capitals",
        True,
        {"digest-uri": b'"NULL/Default"'},
        {"uri": b"NULL/Default"},
    ),
    Case(
        "as another user, who has the secret",
        True,
        {"username": b'"YW55b25l"'},
        {"username": b"YW55b25l"},
    ),
    Case(
        "as a user within ISO 8859-1",
        True,
        {"username": '"é"'.encode()},
        {"username": "é".encode("latin-1")},
    ),
    Case(
        "as a user outside ISO 8859-1",
        True,
        {"username": '"é→"'.encode()},
        {"username": "é→".encode()},
    ),
    Case(
        "for itself by name",
        True,
        {"authzid": b'"%b"' % USER.encode()},
        {"authzid": USER.encode()},
    ),
    Case("with an empty cnonce", True, {"cnonce": b'""'}, {"cnonce": b""}),
    Case("with maxbuf negative", True, {"maxbuf": b"-1"}),
    Case("with maxbuf signed", True, {"maxbuf": b"+0000000000000065536"}),
    Case("with maxbuf the largest", True, {"maxbuf": b"2147483647"}),
    Case("with maxbuf the least", True, {"maxbuf": b"-2147483648"}),
    Case("with nonce-count 1", True, tail=b",nonce-count=0001"),
    Case("with cipher and auth-param", True, tail=b',cipher=rc4,auth-param="x"'),
    Case("of 4096 bytes", True, tail=_padding(4096)),
    # What is refused.
    Case("of 4097 bytes", False, tail=_padding(4097)),
    Case("empty", False, raw=b""),
    Case("of blanks", False, raw=b" \t\r\n,"),
    Case("of no directives", False, raw=b"\x00\xff\xfe"),
    Case("with a directive without '='", False, raw=b"x,%s"),
    Case("with a blank and no '='", False, raw=b"x y=1,%s"),
    Case("with an empty key", False, tail=b",=1"),
    Case("with '=' at the end", False, tail=b",x="),
    Case("with '=' and blanks at the end", False, tail=b",x= "),
    Case("with an unclosed quote", False, tail=b',x="a'),
    Case("with a quote closed by an escape", False, tail=b',x="a\\'),
    Case("with junk behind a quote", False, tail=b',x="a"b'),
    Case("with a quote behind a quote", False, tail=b',x="a""b"'),
    *(
        Case(f"with {key} twice", False, {key: value}, tail=b",%b=%b" % (again, value))
        for key, again, value in (
            ("charset", b"charset", b"utf-8"),
            ("realm", b"realm", b'"default"'),
            ("realm", b"Realm", b'"default"'),
            ("qop", b"QOP", b"auth"),
            ("maxbuf", b"maxbuf", b"65536"),
            ("digest-uri", b"Digest-URI", b'"null/default"'),
            ("cipher", b"cipher", b"rc4"),
            ("auth-param", b"auth-param", b"x"),
            ("nonce-count", b"nonce-count", b"1"),
            ("username", b"username", b'"%b"' % USER.encode()),
            ("cnonce", b"cnonce", b'"%b"' % CNONCE.encode()),
        )
    ),
    Case("with charset in capitals", False, {"charset": b"UTF-8"}),
    Case("with another charset", False, {"charset": b"iso-8859-1"}),
    Case("with an empty charset", False, {"charset": b""}),
    Case("with maxbuf a word", False, {"maxbuf": b"many"}),
    Case("with maxbuf empty", False, {"maxbuf": b""}),
    Case("with maxbuf hexadecimal", False, {"maxbuf": b"0x10"}),
    Case("with maxbuf too large", False, {"maxbuf": b"2147483648"}),
    Case("with maxbuf too small", False, {"maxbuf": b"-2147483649"}),
    Case("with maxbuf of 3000 digits", False, {"maxbuf": b"9" * 3000}),
    Case("without a username", False, {"username": None}),
    Case("with an empty username", False, {"username": b'""'}, {"username": b""}),
    Case("without a realm", False, {"realm": None}, {"realm": b""}),
    Case("with an empty realm", False, {"realm": b'""'}, {"realm": b""}),
    Case("with another realm", False, {"realm": b'"other"'}, {"realm": b"other"}),
    Case("with the realm in capitals", False, {"realm": b"DEFAULT"}),
    Case("without a nonce", False, {"nonce": None}),
    Case(
        "with another's nonce",
        False,
        {"nonce": b'"%b"' % (b"C" * 40)},
        {"nonce": b"C" * 40},
    ),
    Case("without a cnonce", False, {"cnonce": None}),
    Case("with nonce-count 2", False, tail=b",nonce-count=00000002"),
    Case("with nonce-count a word", False, tail=b",nonce-count=one"),
    Case("with qop auth-int", False, {"qop": b"auth-int"}, {"qop": b"auth-int"}),
    Case("with qop auth-conf", False, {"qop": b"auth-conf"}, {"qop": b"auth-conf"}),
    Case("with qop unknown", False, {"qop": b"none"}, {"qop": b"none"}),
    Case("with qop empty", False, {"qop": b""}),
    Case("with qop in capitals", False, {"qop": b"AUTH"}, {"qop": b"AUTH"}),
    Case("without a digest-uri", False, {"digest-uri": None}),
    Case(
        "with another digest-uri",
        False,
        {"digest-uri": b'"storm/default"'},
        {"uri": b"storm/default"},
    ),
    Case(
        "with a longer digest-uri",
        False,
        {"digest-uri": b'"null/default/default"'},
        {"uri": b"null/default/default"},
    ),
    Case("without a response", False, {"response": None}),
    Case("with an empty response", False, {"response": b""}),
    Case("with a short response", False, {"response": b"48690d9d"}),
    Case("with a wrong response", False, {"response": b"0" * 32}),
    Case("with a response that is not ASCII", False, {"response": b"\xe9" * 32}),
    Case("with the server's proof", False, hashed={"verb": b""}),
    Case("with another secret", False, hashed={"secret": b"0" * 128}),
    Case("with the user name of another hash", False, {"username": b'"YW55b25l"'}),
    Case(
        "for another user",
        False,
        {"authzid": b'"bmltYnVz"'},
        {"authzid": b"bmltYnVz"},
    ),
    Case("for nobody", False, {"authzid": b'""'}, {"authzid": b""}),
    Case("with an authzid that is not hashed", False, {"authzid": USER.encode()}),
    # Where ours is stricter.
    Case("with a last key alone", False, tail=b",x", jdk_accepts=True),
    Case("with a key that is not ASCII", False, tail=b",\xc3\xa9=1", jdk_accepts=True),
    Case("with a control character in a key", False, tail=b",\x01=1", jdk_accepts=True),
    Case(
        "with digits that are not ASCII",
        False,
        {"maxbuf": "٦".encode()},
        jdk_accepts=True,
    ),
    Case(
        "as a user that is not UTF-8",
        False,
        {"username": b'"\xff"'},
        {"username": "\ufffd".encode()},
        jdk_accepts=True,
    ),
)
