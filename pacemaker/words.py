"""Texts for messages to people: numbers with their nouns, hosts with their ports."""

from __future__ import annotations


def counted(number: int, noun: str, form: str = "") -> str:
    """Return a number with its noun: ``1 heartbeat``, ``2 heartbeats``.

    Args:
        number: the number.
        noun: the noun in the singular; its plural must be formed with an s.
        form: the format of the number: ``,`` for ``2,000 heartbeats``.
    """
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"


def host_and_port(host: str, port: int) -> str:
    """Return ``HOST:PORT``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_and_port(text: str) -> tuple[str, int]:
    """Undo `host_and_port`: return the host, without brackets, and the port."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
