"""Tests of pacemaker.server.io.sasl_backoff."""

from __future__ import annotations

from pacemaker.server.io.sasl_backoff import (
    FIRST_DELAY_S,
    FREE_FAILURES,
    MAX_ADDRESSES,
    MAX_DELAY_S,
    MEMORY_S,
    FailedLogins,
    RefusalQueue,
)


def failed_logins(failures: int, at_s: float = 0.0) -> FailedLogins:
    """Make the record in which one host has failed several times."""
    logins = FailedLogins()
    for _ in range(failures):
        logins.failed("host", at_s)
    return logins


def test_first_failures_are_free() -> None:
    """A mistyped password is not delayed."""
    for failures in range(FREE_FAILURES):
        assert failed_logins(failures).delay_s("host", 0.0) == 0.0


def test_delay_doubles_up_to_its_limit() -> None:
    """Each further failure doubles the delay, up to the limit."""
    delays = [failed_logins(FREE_FAILURES + n).delay_s("host", 0.0) for n in range(6)]
    assert delays[:4] == [FIRST_DELAY_S * 2**n for n in range(4)]
    assert delays[3:] == [MAX_DELAY_S] * 3


def test_delay_never_overflows() -> None:
    """Even after thousands of failures, the delay stays at the limit."""
    assert failed_logins(5_000).delay_s("host", 0.0) == MAX_DELAY_S


def test_other_hosts_are_not_held_up() -> None:
    """The failures of one host delay only that host."""
    assert failed_logins(100).delay_s("other", 0.0) == 0.0


def test_success_is_forgiveness() -> None:
    """A host that has authenticated starts again without failures."""
    logins = failed_logins(100)
    logins.succeeded("host")
    logins.succeeded("never seen")
    assert logins.delay_s("host", 0.0) == 0.0


def test_failures_are_forgotten_in_time() -> None:
    """After a while without a new failure, a host is not delayed any more."""
    logins = failed_logins(100)
    assert logins.delay_s("host", MEMORY_S) == MAX_DELAY_S
    assert logins.delay_s("host", MEMORY_S + 1) == 0.0
    logins.failed("host", MEMORY_S + 1)
    assert logins.delay_s("host", MEMORY_S + 1) == 0.0


def test_failure_renews_the_memory() -> None:
    """A host is remembered from its last failure on."""
    logins = failed_logins(100)
    logins.failed("host", MEMORY_S)
    assert logins.delay_s("host", 2 * MEMORY_S) == MAX_DELAY_S


def test_book_has_an_end() -> None:
    """If too many hosts have failed, the one with the oldest failure is forgotten."""
    logins = failed_logins(FREE_FAILURES)
    for number in range(MAX_ADDRESSES - 1):
        logins.failed(f"10.0.0.{number}", 1.0)
    assert logins.delay_s("host", 1.0) > 0
    logins.failed("one more", 2.0)
    assert logins.delay_s("host", 2.0) == 0.0
    assert len(logins._failures) == MAX_ADDRESSES


def test_host_that_fails_again_is_not_the_oldest() -> None:
    """Hosts are forgotten in the order of their last failures."""
    logins = failed_logins(FREE_FAILURES)
    logins.failed("old", 0.5)
    logins.failed("host", 1.0)
    for number in range(MAX_ADDRESSES - 1):
        logins.failed(f"10.0.0.{number}", 2.0)
    assert "old" not in logins._failures
    assert logins.delay_s("host", 2.0) > 0


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
