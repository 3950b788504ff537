"""Names what speaks another protocol on a Pacemaker's port, by its first bytes.

Whoever mistakes a port reads the log for the reason, and "frame length out of
range: 1195725856" does not say that the peer is a browser.
"""

from __future__ import annotations

from typing import Final

LOOKED_AT_BYTES: Final = 16
"""How many of a stream's first bytes are enough."""

_BEGINNINGS: Final = (
    # The TLS record types handshake and alert, and the version's first byte.
    (b"\x16\x03", "a TLS handshake"),
    (b"\x15\x03", "a TLS alert"),
    (b"SSH-", "SSH"),
    (b"PROXY ", "a PROXY protocol header"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "a PROXY protocol header"),
    (b"HTTP/", "an HTTP response"),
    (b"PRI * HTTP/2", "an HTTP/2 client"),
    *(
        (method + b" ", "an HTTP request")
        for method in (
            *(b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"),
            *(b"CONNECT", b"TRACE"),
        )
    ),
)
_TEXT: Final = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")


def likeness(first: bytes) -> str | None:
    """Say what the first bytes of a stream look like, if they are nobody's frame.

    Args:
        first: the first bytes, four at least; `LOOKED_AT_BYTES` are enough.

    Returns:
        As ``an HTTP request``; None for what is not known.
    """
    for beginning, name in _BEGINNINGS:
        # A frame's length is judged as soon as its four bytes are there, which may
        # be all of a longer beginning that has come.
        if first.startswith(beginning) or beginning.startswith(first):
            return name
    if all(byte in _TEXT for byte in first):
        return "text"
    return None
