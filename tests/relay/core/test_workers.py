"""Which connection wrote each key last."""

from __future__ import annotations

from pacemaker.relay.core import limits
from pacemaker.relay.core.workers import Workers


def test_key_belongs_to_the_connection_that_wrote_it_last() -> None:
    """The end of an earlier connection does not change that."""
    workers = Workers()
    workers.wrote("k", "first")
    workers.wrote("k", "first")
    workers.wrote("k", "second")
    workers.writer_left("first", 0.0)
    assert workers.connected == {"k": "second"}
    assert workers.next_s is None


def test_keys_of_a_connection_leave_with_it() -> None:
    """All keys of a connection leave some seconds after its end."""
    workers = Workers()
    workers.wrote("a", "one")
    workers.wrote("b", "one")
    workers.wrote("c", "other")
    workers.writer_left("one", 10.0)
    assert workers.next_s == 10.0 + limits.GONE_S
    assert workers.take_gone(10.0) == []
    assert sorted(workers.take_gone(10.0 + limits.GONE_S)) == ["a", "b"]
    assert len(workers) == 1
    assert workers.next_s is None


def test_key_that_is_written_again_does_not_leave() -> None:
    """A key that is written again stays: its worker has reconnected."""
    workers = Workers()
    workers.wrote("k", "first")
    workers.writer_left("first", 0.0)
    workers.wrote("k", "second")
    assert workers.take_gone(limits.GONE_S) == []
    assert "connected=1 leaving=0" in repr(workers)


def test_connection_that_wrote_nothing_leaves_nothing() -> None:
    """A connection without keys, such as Nimbus's, leaves nothing."""
    workers = Workers()
    workers.writer_left("nimbus", 0.0)
    assert len(workers) == 0
