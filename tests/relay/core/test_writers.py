"""Which connection wrote each key last."""

from __future__ import annotations

from pacemaker.relay.core import limits
from pacemaker.relay.core.writers import Writers


def test_key_belongs_to_the_connection_that_wrote_it_last() -> None:
    """The end of an earlier connection does not change that."""
    writers = Writers()
    writers.wrote("k", "first")
    writers.wrote("k", "first")
    writers.wrote("k", "second")
    writers.writer_left("first", 0.0)
    assert writers.connected == {"k": "second"}
    assert writers.next_s is None


def test_keys_of_a_connection_leave_with_it() -> None:
    """All keys of a connection leave some seconds after its end."""
    writers = Writers()
    writers.wrote("a", "one")
    writers.wrote("b", "one")
    writers.wrote("c", "other")
    writers.writer_left("one", 10.0)
    assert writers.next_s == 10.0 + limits.GONE_AFTER_S
    assert writers.pop_gone(10.0) == []
    assert sorted(writers.pop_gone(10.0 + limits.GONE_AFTER_S)) == ["a", "b"]
    assert len(writers) == 1
    assert writers.next_s is None


def test_key_that_is_written_again_does_not_leave() -> None:
    """A key that is written again stays: its worker has reconnected."""
    writers = Writers()
    writers.wrote("k", "first")
    writers.writer_left("first", 0.0)
    writers.wrote("k", "second")
    assert writers.pop_gone(limits.GONE_AFTER_S) == []
    assert "connected=1 leaving=0" in repr(writers)


def test_connection_that_wrote_nothing_leaves_nothing() -> None:
    """A connection without keys, such as Nimbus's, leaves nothing."""
    writers = Writers()
    writers.writer_left("nimbus", 0.0)
    assert len(writers) == 0
