"""Which request each reply belongs to."""

from __future__ import annotations

from pacemaker.relay.pending_replies import PendingReplies


def test_reply_is_matched_once() -> None:
    """A second reply with the same id belongs to no request."""
    pending = PendingReplies()
    pending.add(7, "a question")
    assert pending.pop(7) == "a question"
    assert pending.pop(7) is None
    assert not pending


def test_unknown_id_belongs_to_no_request() -> None:
    """A probe has no token: its reply says only that the Pacemaker answers."""
    pending = PendingReplies()
    pending.add(7, "a question")
    assert pending.pop(8) is None
    assert len(pending) == 1


def test_abandoned_request_gives_its_message_id() -> None:
    """The protocol has to discard that reply when it comes."""
    pending = PendingReplies()
    pending.add(7, "a question")
    assert pending.abandon("a question") == 7
    assert pending.pop(7) is None


def test_answered_request_cannot_be_abandoned() -> None:
    """Its reply has been used already."""
    pending = PendingReplies()
    pending.add(7, "a question")
    pending.pop(7)
    assert pending.abandon("a question") is None
