"""Which connection wrote each key last."""

from __future__ import annotations

from pacemaker.relay.core import limits
from pacemaker.relay.core.workers import Workers


def test_key_belongs_to_the_connection_that_wrote_it_last() -> None:
    """The end of an earlier one changes nothing."""
    workers = Workers()
    workers.wrote("k", "first")
    workers.wrote("k", "first")
    workers.wrote("k", "second")
    workers.left("first", 0.0)
    assert workers.connected == {"k": "second"}
    assert workers.next_s is None


def test_keys_of_a_connection_leave_with_it() -> None:
    """All of them, some seconds later."""
    workers = Workers()
    workers.wrote("a", "one")
    workers.wrote("b", "one")
    workers.wrote("c", "other")
    workers.left("one", 10.0)
    assert workers.next_s == 10.0 + limits.GONE_S
    assert workers.take_gone(10.0) == []
    assert sorted(workers.take_gone(10.0 + limits.GONE_S)) == ["a", "b"]
    assert len(workers) == 1
    assert workers.next_s is None


def test_key_that_is_written_again_does_not_leave() -> None:
    """The worker has reconnected."""
    workers = Workers()
    workers.wrote("k", "first")
    workers.left("first", 0.0)
    workers.wrote("k", "second")
    assert workers.take_gone(limits.GONE_S) == []
    assert "connected=1 leaving=0" in repr(workers)


def test_connection_that_wrote_nothing_leaves_nothing() -> None:
    """Nimbus's, for example."""
    workers = Workers()
    workers.left("nimbus", 0.0)
    assert len(workers) == 0
