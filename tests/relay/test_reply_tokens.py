"""Which request each reply belongs to."""

from __future__ import annotations

from pacemaker.relay.reply_tokens import ReplyTokens


def test_reply_is_matched_once() -> None:
    """A second reply with the same id belongs to no request."""
    tokens = ReplyTokens()
    tokens.add(7, "a question")
    assert tokens.pop(7) == "a question"
    assert tokens.pop(7) is None
    assert not tokens


def test_unknown_id_belongs_to_no_request() -> None:
    """A probe has no token: its reply says only that the Pacemaker answers."""
    tokens = ReplyTokens()
    tokens.add(7, "a question")
    assert tokens.pop(8) is None
    assert len(tokens) == 1


def test_abandoned_request_gives_its_message_id() -> None:
    """The protocol has to discard that reply when it comes."""
    tokens = ReplyTokens()
    tokens.add(7, "a question")
    assert tokens.abandon("a question") == 7
    assert tokens.pop(7) is None


def test_answered_request_cannot_be_abandoned() -> None:
    """Its reply has been used already."""
    tokens = ReplyTokens()
    tokens.add(7, "a question")
    tokens.pop(7)
    assert tokens.abandon("a question") is None
