"""A value that shows itself to nobody by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Text that stays out of logs, tracebacks, reprs and pickles.

    Reveal it inside the expression that needs it: a local name bound to the
    text would show in a traceback that prints local variables.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a table

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written out")
