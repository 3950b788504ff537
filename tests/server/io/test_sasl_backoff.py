"""Tests of pacemaker.server.io.sasl_backoff."""

from __future__ import annotations

from pacemaker.server.io.sasl_backoff import (
    FIRST_DELAY_S,
    FREE_FAILURES,
    MAX_ADDRESSES,
    MAX_DELAY_S,
    MEMORY_S,
    GuessBook,
    RefusalQueue,
)


def book_of(failures: int, at_s: float = 0.0) -> GuessBook:
    """Make a book in which one host has failed several times."""
    book = GuessBook()
    for _ in range(failures):
        book.failed("host", at_s)
    return book


def test_first_failures_are_free() -> None:
    """A mistyped password is not delayed."""
    for failures in range(FREE_FAILURES):
        assert book_of(failures).delay_s("host", 0.0) == 0.0


def test_delay_doubles_up_to_its_limit() -> None:
    """Each further failure doubles the delay, up to the limit."""
    delays = [book_of(FREE_FAILURES + n).delay_s("host", 0.0) for n in range(6)]
    assert delays[:4] == [FIRST_DELAY_S * 2**n for n in range(4)]
    assert delays[3:] == [MAX_DELAY_S] * 3


def test_delay_never_overflows() -> None:
    """Even after thousands of failures, the delay stays at the limit."""
    assert book_of(5_000).delay_s("host", 0.0) == MAX_DELAY_S


def test_other_hosts_are_not_held_up() -> None:
    """The failures of one host delay only that host."""
    assert book_of(100).delay_s("other", 0.0) == 0.0


def test_success_is_forgiveness() -> None:
    """A host that has authenticated starts again without failures."""
    book = book_of(100)
    book.succeeded("host")
    book.succeeded("never seen")
    assert book.delay_s("host", 0.0) == 0.0


def test_failures_are_forgotten_in_time() -> None:
    """After a while without a new failure, a host is not delayed any more."""
    book = book_of(100)
    assert book.delay_s("host", MEMORY_S) == MAX_DELAY_S
    assert book.delay_s("host", MEMORY_S + 1) == 0.0
    book.failed("host", MEMORY_S + 1)
    assert book.delay_s("host", MEMORY_S + 1) == 0.0


def test_failure_renews_the_memory() -> None:
    """A host is remembered from its last failure on."""
    book = book_of(100)
    book.failed("host", MEMORY_S)
    assert book.delay_s("host", 2 * MEMORY_S) == MAX_DELAY_S


def test_book_has_an_end() -> None:
    """If too many hosts have failed, the one with the oldest failure is forgotten."""
    book = book_of(FREE_FAILURES)
    for number in range(MAX_ADDRESSES - 1):
        book.failed(f"10.0.0.{number}", 1.0)
    assert book.delay_s("host", 1.0) > 0
    book.failed("one more", 2.0)
    assert book.delay_s("host", 2.0) == 0.0
    assert len(book._failures) == MAX_ADDRESSES


def test_host_that_fails_again_is_not_the_oldest() -> None:
    """Hosts are forgotten in the order of their last failures."""
    book = book_of(FREE_FAILURES)
    book.failed("old", 0.5)
    book.failed("host", 1.0)
    for number in range(MAX_ADDRESSES - 1):
        book.failed(f"10.0.0.{number}", 2.0)
    assert "old" not in book._failures
    assert book.delay_s("host", 2.0) > 0


def test_refusals_of_an_address_have_turns_in_order() -> None:
    """The first one may be sent at once, each other one when it becomes the first."""
    queue: RefusalQueue[str] = RefusalQueue()
    assert [queue.add("a", item) for item in ("1", "2", "3")] == [True, False, False]
    assert queue.add("b", "other")
    assert queue.discard("a", "1")
    assert queue.first("a") == "2"
    assert queue.discard("a", "3")
    assert queue.first("a") == "2"
    assert queue.discard("a", "2")
    assert queue.first("a") is None
    assert queue.first("b") == "other"


def test_refusal_is_discarded_once() -> None:
    """Discarding a refusal that no longer waits has no effect."""
    queue: RefusalQueue[str] = RefusalQueue()
    queue.add("a", "1")
    queue.add("a", "2")
    assert queue.discard("a", "1")
    assert not queue.discard("a", "1")
    assert not queue.discard("b", "2")
    assert len(queue) == 1


def test_refusals_leave_nothing_behind() -> None:
    """An address whose refusals were all sent is forgotten."""
    queue: RefusalQueue[str] = RefusalQueue()
    queue.add("a", "1")
    queue.discard("a", "1")
    assert not queue._waiting
