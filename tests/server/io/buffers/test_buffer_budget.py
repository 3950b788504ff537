"""Tests of pacemaker.server.io.buffers.buffer_budget."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.core.accounts.account import Account
from pacemaker.server.io.buffers import buffer_budget
from pacemaker.server.io.buffers.buffer_budget import BufferBudget

KB = 1000
MIB = 2**20
A = Account("192.0.2.1")


def test_holders_that_fit_stay() -> None:
    """Up to the last byte of the budget, nobody is evicted."""
    budget: BufferBudget[str] = BufferBudget(100)
    assert not budget.update("a", A, 60, 0.0)
    assert not budget.update("b", A, 40, 0.0)
    assert budget.total_bytes == 100


def test_largest_holder_goes_of_those_that_came_at_once() -> None:
    """Of holders of equal age the largest is evicted, whoever caused the excess."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.update("a", A, 64, 0.0)
    budget.update("b", A, 30, 0.0)
    assert list(budget.update("c", A, 11, 0.0)) == ["a"]
    assert budget.total_bytes == 41


def test_oldest_of_equal_size_goes() -> None:
    """Of frames of equal size the one unfinished for longest is evicted."""
    budget: BufferBudget[str] = BufferBudget(100)
    for second, name in enumerate("abc"):
        budget.update(name, A, 30, float(second))
    assert list(budget.update("d", A, 30, 3.0)) == ["a"]
    assert list(budget.update("e", A, 30, 4.0)) == ["b"]


def test_holder_that_does_not_fit_alone_goes_alone() -> None:
    """A frame larger than the whole budget evicts none of the older ones."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.update("a", A, 30, 0.0)
    assert list(budget.update("b", A, 101, 5.0)) == ["b"]
    assert budget.total_bytes == 30


def test_several_go_where_one_is_not_enough() -> None:
    """A new large frame evicts as many old ones as necessary."""
    budget: BufferBudget[str] = BufferBudget(100)
    for name in "abcde":
        budget.update(name, A, 20, 0.0)
    evicted = budget.update("large", A, 50, 10.0)
    assert len(evicted) == 3
    assert "large" not in evicted
    assert budget.total_bytes == 90


def test_what_a_holder_says_replaces_what_it_said() -> None:
    """A holder counts with its latest size; with size 0 it is forgotten."""
    budget: BufferBudget[str] = BufferBudget(100)
    account = Account("192.0.2.2")
    budget.update("a", account, 90, 0.0)
    budget.update("a", account, 20, 1.0)
    assert (budget.total_bytes, account.buffered_bytes) == (20, 20)
    budget.update("a", account, 0, 2.0)
    assert (budget.total_bytes, account.buffered_bytes) == (0, 0)
    assert_forgot_all(budget)


def test_who_had_to_go_may_say_so() -> None:
    """A connection that ends after its eviction is not subtracted twice."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.update("a", A, 30, 0.0)
    assert list(budget.update("b", A, 80, 0.0)) == ["b"]
    assert not budget.update("b", A, 0, 0.0)
    assert budget.total_bytes == 30


def test_new_frame_is_as_young_as_its_first_byte() -> None:
    """If the bytes become fewer, or were 0, they belong to a new frame."""
    budget: BufferBudget[str] = BufferBudget(100)
    budget.update("relay", A, 50, 0.0)
    budget.update("idle", A, 40, 0.0)
    budget.update("kept", A, 10, 1.0)
    budget.update("idle", A, 0, 8.0)
    budget.update("relay", A, 31, 9.0)
    budget.update("idle", A, 20, 9.0)
    assert list(budget.update("last", A, 40, 9.001)) == ["kept"]


def test_frame_that_grows_stays_as_old_as_it_is() -> None:
    """An occasional byte does not make an unfinished frame young."""
    budget: BufferBudget[str] = BufferBudget(200)
    for second in range(9):
        budget.update("dripping", A, 32 + second, float(second))
    budget.update("steady", A, 50, 6.0)
    assert list(budget.update("young", A, 120, 8.0)) == ["dripping"]


def test_frame_is_as_young_as_its_last_growth_by_an_eighth() -> None:
    """One that arrives slowly because others take turns is not old for that."""
    budget: BufferBudget[str] = BufferBudget(1_500 * KB)
    budget.update("kept", A, 440 * KB, 7.0)
    for second in range(1, 9):
        budget.update("arriving", A, second * 100 * KB, float(second))
    assert list(budget.update("next", A, 300 * KB, 8.1)) == ["kept"]


def test_frame_is_no_younger_for_less_than_an_eighth() -> None:
    """Large frames that are dripped into grow old, from their last large growth."""
    budget: BufferBudget[str] = BufferBudget(2_000 * KB)
    for second in range(9):
        budget.update("dripping", A, (1_000 + 5 * second) * KB, float(second))
    budget.update("steady", A, 700 * KB, 6.0)
    assert list(budget.update("young", A, 300 * KB, 8.2)) == ["dripping"]


def test_frame_grows_by_48_kib_at_most_to_be_young() -> None:
    """Linux keeps 64 KiB of a crowd's connection for each read, of any large frame."""
    budget: BufferBudget[str] = BufferBudget(2_000 * KB)
    budget.update("kept", A, 440 * KB, 7.0)
    for second in range(9):
        budget.update("arriving", A, (1_000 + 50 * second) * KB, float(second))
    assert list(budget.update("next", A, 300 * KB, 8.2)) == ["kept"]


def test_frame_in_transit_does_not_age() -> None:
    """Not for a tenth of a second, even if the end of a part was small."""
    for wait_s, evicted in ((0.09, "kept"), (0.11, "arriving")):
        budget: BufferBudget[str] = BufferBudget(1_500 * KB)
        budget.update("arriving", A, 1_000 * KB, 0.0)
        budget.update("arriving", A, 1_020 * KB, 8.9)
        budget.update("kept", A, 300 * KB, 8.9)
        budget.update("arriving", A, 1_022 * KB, 9.0)
        assert list(budget.update("next", A, 290 * KB, 9.0 + wait_s)) == [evicted]


@pytest.mark.parametrize("growth", [17, 16])
def test_frame_that_waits_to_be_read_does_not_age(growth: int) -> None:
    """A large heartbeat stays while it waits for thousands of connections."""
    budget: BufferBudget[str] = BufferBudget(
        1_500 * KB, has_more=lambda holder: holder == "arriving"
    )
    budget.update("arriving", A, 1_000 * KB, 0.0)
    budget.update("arriving", A, 1_000 * KB, 0.1)
    budget.update("arriving", A, (1_000 + growth) * KB, 0.2)
    budget.update("kept", A, 300 * KB, 8.9)
    evicted = "kept" if growth == 17 else "arriving"
    assert list(budget.update("next", A, 290 * KB, 9.0)) == [evicted]


def test_some_frame_goes_though_all_are_in_transit() -> None:
    """The search for it ends, however many there are."""
    budget: BufferBudget[str] = BufferBudget(10_000 * KB, has_more=lambda _: True)
    for number in range(100):
        budget.update(str(number), A, 100 * KB, number / 1000)
    assert len(budget.update("last", A, 100 * KB, 1.0)) == 1


# --- attackers and honest peers ---------------------------------------------


def fill(budget: BufferBudget[str], accounts: list[Account], now_s: float) -> None:
    """Hold the unfinished frames of 150 attackers, spread over accounts."""
    for number in range(150):
        account = accounts[number % len(accounts)]
        budget.update(f"attacker {number}", account, 440 * KB, now_s)


@pytest.mark.parametrize("addresses", [1, 16, 150])
@pytest.mark.parametrize("is_shared", [False, True], ids=["other", "same"])
def test_large_pulse_goes_before_no_old_frame(addresses: int, is_shared: bool) -> None:
    """1.3 MB that arrive within milliseconds stay; frames unfinished for 1 s go."""
    budget: BufferBudget[str] = BufferBudget(64 * MIB)
    accounts = [Account(f"192.0.2.{number}") for number in range(addresses)]
    fill(budget, accounts, now_s=100.0)
    honest = accounts[0] if is_shared else Account("198.51.100.1")
    evicted: list[str] = []
    for size, now_s in ((128 * KB, 101.0), (1152 * KB, 101.004), (1300 * KB, 101.006)):
        evicted += budget.update("honest", honest, size, now_s)
    assert evicted
    assert all(name.startswith("attacker") for name in evicted)
    assert not budget.update("honest", honest, 0, 101.007)


def test_small_frames_of_one_address_go_before_a_large_one_of_another() -> None:
    """An account weighs as much as all its frames together."""
    budget: BufferBudget[str] = BufferBudget(1000)
    many = Account("192.0.2.9")
    budget.update("large", A, 200, 0.0)
    evicted: list[str] = []
    for number in range(30):
        evicted += budget.update(f"small {number}", many, 30, 0.0)
    assert len(evicted) == 4
    assert all(name.startswith("small") for name in evicted)


def test_address_that_always_holds_something_is_not_old_for_that() -> None:
    """An address whose workers each hold a frame briefly does not age."""
    budget: BufferBudget[str] = BufferBudget(1000)
    nat, attacker = Account("192.0.2.7"), Account("203.0.113.1")
    budget.update("worker 0", nat, 100, 0.0)
    for second in range(1, 1000):
        budget.update(f"worker {second}", nat, 100, float(second))
        budget.update(f"worker {second - 1}", nat, 0, second + 0.01)
    budget.update("attacker", attacker, 500, 998.0)
    assert list(budget.update("worker 1000", nat, 450, 999.5)) == ["attacker"]


# --- the sums ----------------------------------------------------------------


def test_freed_bytes_are_counted_from_the_peak_since_the_last_call() -> None:
    """Bytes that were freed since the last call are reported once."""
    budget: BufferBudget[str] = BufferBudget(100)
    assert budget.take_freed_bytes() == 0
    for size in (50, 80, 10):
        budget.update("a", A, size, 0.0)
    assert budget.take_freed_bytes() == 70
    assert budget.take_freed_bytes() == 0
    budget.update("a", A, 5, 0.0)
    budget.update("b", A, 30, 0.0)
    assert budget.take_freed_bytes() == 0


def test_budget_is_nearly_unused_below_an_eighth() -> None:
    """Whoever holds it, and again once it is freed."""
    budget: BufferBudget[str] = BufferBudget(800)
    budget.update("a", A, 60, 0.0)
    budget.update("b", A, 39, 0.0)
    assert budget.is_nearly_unused
    budget.update("b", A, 40, 0.0)
    assert not budget.is_nearly_unused
    budget.update("b", A, 0, 0.0)
    assert budget.is_nearly_unused


def test_pages_are_given_back_for_each_eighth_of_the_budget() -> None:
    """Evicted bytes add up until they are an eighth, and start again from 0."""
    budget: BufferBudget[str] = BufferBudget(800)
    answers = [budget.note_evicted(size) for size in (60, 39, 1, 99, 500, 99)]
    assert answers == [False, False, True, False, True, False]


@dataclass
class Naive:
    """The budget's rule, by a walk over all holders."""

    budget_bytes: int
    # Of each holder: its account, its size, since when.
    held: dict[int, tuple[Account, int, int]]
    # Of each holder: its size when it last became young.
    young: dict[int, int]

    def hold(self, holder: int, account: Account, size: int, now_s: int) -> None:
        """Record a holder's size."""
        _, old_size, since_s = self.held.pop(holder, (account, 0, 0))
        if size:
            young = self.young.get(holder, 0)
            if not 0 < old_size <= size < young + max(young // 8, 10):
                since_s = now_s
                self.young[holder] = size
            self.held[holder] = (account, size, since_s)

    @property
    def total_bytes(self) -> int:
        """The bytes of all holders."""
        return sum(size for _, size, _ in self.held.values())

    def assert_may_go(self, holder: int, now_s: int) -> None:
        """Check that a holder and its account weigh over half of the heaviest."""
        microseconds = 10**6 * now_s
        weights = {
            other: size * (microseconds - 10**6 * since_s + 1)
            for other, (_, size, since_s) in self.held.items()
        }
        accounts: dict[Account, int] = {}
        for other, (account, _, _) in self.held.items():
            accounts[account] = accounts.get(account, 0) + weights[other]
        own = self.held[holder][0]
        within = [weights[other] for other in weights if self.held[other][0] is own]
        # The mean age of an account is a whole number of microseconds.
        assert 2 * accounts[own] + self.total_bytes > max(accounts.values())
        assert 2 * weights[holder] > max(within)


_CALLS = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.integers(0, 40) | st.integers(0, 250),
        st.integers(0, 3),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def small_growth() -> Iterator[None]:
    """Let a small growth make a frame young; after these tests, a large one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer_budget, "_GROWTH_BYTES", 10)
        patch.setattr(buffer_budget, "_IN_TRANSIT_US", 0)
        yield


@pytest.mark.usefixtures("small_growth")
@given(_CALLS, st.integers(1, 12))
def test_budget_keeps_the_rule_whatever_is_held(
    calls: list[tuple[int, int, int]], account_count: int
) -> None:
    """Only the heaviest are evicted, no more than needed, and all sums are exact."""
    budget: BufferBudget[int] = BufferBudget(200)
    accounts = [Account(str(number)) for number in range(account_count)]
    naive = Naive(200, {}, {})
    now_s = 0
    for holder, size, passed_s in calls:
        now_s += passed_s
        account = accounts[holder % account_count]
        naive.hold(holder, account, size, now_s)
        evicted = budget.update(holder, account, size, now_s)
        if size > 200:
            assert list(evicted) == [holder]
        for other in evicted:
            assert naive.total_bytes > 200
            if size <= 200:
                naive.assert_may_go(other, now_s)
            del naive.held[other]
        assert budget.total_bytes == naive.total_bytes <= 200
        for account in accounts:
            held = [size for own, size, _ in naive.held.values() if own is account]
            assert account.buffered_bytes == sum(held)
    for holder in tuple(naive.held):
        budget.update(holder, accounts[holder % account_count], 0, now_s)
    assert_forgot_all(budget)


def assert_forgot_all(budget: BufferBudget[int] | BufferBudget[str]) -> None:
    """Check that an empty budget remembers nothing."""
    assert (budget.total_bytes, budget._buffers, budget._by_account) == (0, {}, {})
    assert not budget._heaviest


@pytest.mark.parametrize("seed", range(3))
def test_threads_agree_on_the_sum(seed: int) -> None:
    """Threads that hold and release concurrently leave a total of 0."""
    budget: BufferBudget[int] = BufferBudget(5_000)
    accounts = [Account(str(number)) for number in range(3)]
    start = threading.Barrier(4)

    def hold_and_let_go(number: int) -> None:
        random = Random(seed * 10 + number)  # noqa: S311  (no secret)
        start.wait()
        for turn in range(500):
            holder = number * 10 + random.randrange(10)
            budget.update(holder, accounts[holder % 3], random.randrange(1_000), turn)
        for holder in range(number * 10, number * 10 + 10):
            budget.update(holder, accounts[holder % 3], 0, 500)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hold_and_let_go, range(4)))
    assert_forgot_all(budget)
    assert [account.buffered_bytes for account in accounts] == [0, 0, 0]
