"""Texts for people: numbers and nouns, hosts and ports, what strangers wrote."""

from __future__ import annotations


def counted(number: int, noun: str, form: str = "", plural: str = "") -> str:
    """Return a number with its noun: ``1 heartbeat``, ``2 heartbeats``.

    Args:
        number: the number.
        noun: the noun in the singular.
        form: the format of the number: ``,`` for ``2,000 heartbeats``.
        plural: the noun in the plural, if it is not formed with an s.
    """
    return f"{number:{form}} {noun if number == 1 else plural or noun + 's'}"


def host_and_port(host: str, port: int) -> str:
    """Return ``HOST:PORT``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_and_port(text: str) -> tuple[str, int]:
    """Undo `host_and_port`: return the host, without brackets, and the port."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def printable(text: str) -> str:
    """Return the text with unprintable characters escaped, as Python does."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def clipped(text: str, most: int) -> str:
    """Return the text, cut to this many characters with an ellipsis at the end."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"
