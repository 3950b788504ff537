"""Numbers and nouns in messages for people."""

from __future__ import annotations


def counted(number: int, noun: str, form: str = "") -> str:
    """Return a number and what it counts: ``1 heartbeat``, ``2 heartbeats``.

    Args:
        noun: in the singular; its plural takes an s.
        form: how the number is formatted: ``,`` for ``2,000 heartbeats``.
    """
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"
