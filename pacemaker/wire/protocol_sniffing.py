"""Judge a peer by the first bytes that it sends.

Some peers speak another protocol on a Pacemaker's port.  If a client uses the wrong
port, its administrator looks for the reason in the log, and "frame length out of range:
1195725856" does not say that the peer is a browser.
"""

from __future__ import annotations

import struct
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
# The length of a frame, and how every message begins: its first field is its type.
_LENGTH: Final = struct.Struct(">i")
_TYPE_FIELD: Final = b"\x08\x00\x01"
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


def begins_small_request(first_bytes: bytes, most_bytes: int) -> bool:
    """Return whether a stream begins with a small message, as far as it has arrived.

    Args:
        first_bytes: its first bytes.
        most_bytes: the most bytes that the frame of a small message takes.
    """
    if len(first_bytes) < _LENGTH.size:
        return True
    body_bytes = _LENGTH.unpack_from(first_bytes)[0]
    begins = first_bytes[_LENGTH.size : _LENGTH.size + len(_TYPE_FIELD)]
    return 0 < body_bytes <= most_bytes - _LENGTH.size and _TYPE_FIELD.startswith(
        begins
    )
