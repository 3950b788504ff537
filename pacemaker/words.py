"""Format numbers and nouns for messages to people."""

from __future__ import annotations


def counted(number: int, noun: str, form: str = "") -> str:
    """Return a number with its noun: ``1 heartbeat``, ``2 heartbeats``.

    Args:
        number: the number.
        noun: the noun in the singular; its plural must be formed with an s.
        form: the format of the number: ``,`` for ``2,000 heartbeats``.
    """
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"
