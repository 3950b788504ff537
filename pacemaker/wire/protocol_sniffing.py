"""Recognize peers that speak another protocol on a Pacemaker's port.

If a client uses the wrong port, its administrator looks for the reason in the log, and
"frame length out of range: 1195725856" does not say that the peer is a browser.
"""

from __future__ import annotations

from typing import Final

# How many of the first bytes of a stream `sniff_protocol` needs at most.
SNIFFED_BYTES: Final = 16

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
            b"GET",
            b"POST",
            b"HEAD",
            b"PUT",
            b"DELETE",
            b"OPTIONS",
            b"PATCH",
            b"CONNECT",
            b"TRACE",
        )
    ),
)
_TEXT: Final = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")


def sniff_protocol(first_bytes: bytes) -> str | None:
    """Name the protocol that a stream seems to speak if it has no valid frame.

    Args:
        first_bytes: at least four; `SNIFFED_BYTES` are enough.

    Returns:
        The name of the protocol, such as ``an HTTP request``; None if it is unknown.
    """
    for beginning, name in _BEGINNINGS:
        # The length of a frame is checked as soon as its four bytes have arrived, so
        # there may be fewer bytes here than a beginning has.
        if first_bytes.startswith(beginning) or beginning.startswith(first_bytes):
            return name
    if all(byte in _TEXT for byte in first_bytes):
        return "text"
    return None
