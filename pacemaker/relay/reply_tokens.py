"""Which request each reply on a link belongs to."""

from __future__ import annotations

from collections.abc import Hashable


class ReplyTokens:
    """The unanswered requests of one connection, by message id and by token.

    A token is what the sender of a request knows it by: an item of the outbox, or a
    question.  A request without a token gets its reply ignored.
    """

    def __init__(self) -> None:
        self._tokens: dict[int, Hashable] = {}
        self._message_ids: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        return f"<ReplyTokens {len(self)}>"

    def add(self, message_id: int, token: Hashable) -> None:
        """Expect the reply to a request."""
        self._tokens[message_id] = token
        self._message_ids[token] = message_id

    def pop(self, message_id: int) -> Hashable | None:
        """Remove a request and return its token; None if it has none."""
        token = self._tokens.pop(message_id, None)
        if token is not None:
            del self._message_ids[token]
        return token

    def abandon(self, token: Hashable) -> int | None:
        """Remove a request and return its message id; None if it was answered."""
        message_id = self._message_ids.pop(token, None)
        if message_id is not None:
            del self._tokens[message_id]
        return message_id
