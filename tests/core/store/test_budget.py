"""Tests of core.store.budget, most of them through the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pacemaker.core.accounts.account import (
    PRESSURE,
    UNKNOWN_PEER,
    Account,
    exceeds_share,
)
from pacemaker.core.store import budget, detached, trie
from pacemaker.core.store.budget import StoreBudget
from pacemaker.core.store.store import KeyHandle, LeafHandle, Store
from pacemaker.errors import LimitError
from tests.directories import DirectoryModel, paths

BUDGET_BYTES = 12_000
SLACK_BYTES = 1_500
SMALL_BYTES = 300
MIB = 2**20


def path_of(key: str) -> tuple[str, ...]:
    """Return the segments of a key."""
    return tuple(key.split("/"))


def segment_bytes(segment: str) -> int:
    """Return the size of a name in a node."""
    wide = 1 if segment.isascii() else 4
    return trie.ENTRY_BYTES + trie.SEGMENT_BYTES + wide * len(segment)


def standalone_bytes(key: str, value: bytes) -> int:
    """Return the size of a key as if nothing else were stored."""
    path = path_of(key)
    nodes_bytes = trie.NODE_BYTES * (len(path) - 1)
    return sum(map(segment_bytes, path)) + nodes_bytes + leaf_bytes(value)


def leaf_bytes(value: bytes) -> int:
    """Return the size of a value."""
    return trie.VALUE_BYTES + len(value)


def used_bytes(model: dict[str, bytes]) -> int:
    """Return the size of all keys together; shared nodes count once."""
    nodes = {path_of(key)[:n] for key in model for n in range(1, len(path_of(key)))}
    total = sum(segment_bytes(node[-1]) + trie.NODE_BYTES for node in nodes)
    for key, value in model.items():
        path = path_of(key)
        in_node = path in nodes
        name_bytes = trie.ENTRY_BYTES if in_node else segment_bytes(path[-1])
        total += name_bytes + leaf_bytes(value)
    return total


values = st.integers(0, 1_200).map(bytes)
writers = st.integers(0, 3)


def budget_of(store: Store) -> StoreBudget:
    """Return the totals of a store; only this function looks inside it."""
    return store._budget


class BudgetMachine(RuleBasedStateMachine):
    """Four accounts store and delete their own and others' keys, on a small budget."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = contextlib.ExitStack()
        for module, name, number in (
            (budget, "SLACK_BYTES", SLACK_BYTES),
            (budget, "SMALL_VALUE_BYTES", SMALL_BYTES),
            (detached, "FREED_PER_STEP", 2),
        ):
            self.patches.enter_context(patch.object(module, name, number))
        self.store = Store(BUDGET_BYTES)
        self.accounts = [UNKNOWN_PEER, *(Account(f"10.0.0.{n}") for n in range(1, 4))]
        self.model = DirectoryModel()
        self.owners: dict[str, Account] = {}
        self.handles: dict[tuple[str, int], KeyHandle] = {}
        self.read_handles: dict[str, LeafHandle] = {}
        # Whether something may be detached that is not freed yet.
        self.is_detached = False

    def teardown(self) -> None:
        """Restore the limits."""
        self.patches.close()

    @rule(key=paths, value=values, writer=writers, is_put_at=st.booleans())
    def put(self, key: str, value: bytes, writer: int, is_put_at: bool) -> None:
        """A put is done or refused as the rule says; a refusal changes nothing."""
        account = self.accounts[writer]
        allowed = self.judge(key, value, account)
        owner = self.owner_after(key, value, account)
        before_bytes = self.store.used_bytes, account.stored_bytes
        try:
            if is_put_at:
                handle = self.handles.setdefault((key, writer), KeyHandle(key, account))
                self.store.put_at(handle, value)
            else:
                self.store.put(key, value, account=account)
        except LimitError as exc:
            refusal = str(exc)
        else:
            refusal = ""
        if refusal:
            assert allowed is not True, refusal
            assert f"of {BUDGET_BYTES} bytes" in refusal
            assert "--store-budget" in refusal
            assert account.name in refusal
            assert before_bytes == (self.store.used_bytes, account.stored_bytes)
        else:
            assert allowed is not False
            self.model[key] = value
            self.owners[key] = owner

    def judge(self, key: str, value: bytes, account: Account) -> bool | None:
        """Return whether the rule allows a put; None if the slack decides."""
        growth_bytes, after_bytes, is_above_share = self.weigh(key, value, account)
        if key not in self.model:
            return after_bytes <= BUDGET_BYTES and not is_above_share
        if growth_bytes <= 0 or after_bytes <= PRESSURE * BUDGET_BYTES:
            return True
        if is_above_share and len(value) > SMALL_BYTES:
            return False
        if not is_above_share and after_bytes <= BUDGET_BYTES:
            return True
        return None

    def owner_after(self, key: str, value: bytes, account: Account) -> Account:
        """Return the account that is charged for a key after a put."""
        growth_bytes, after_bytes, is_above_share = self.weigh(key, value, account)
        is_scarce = after_bytes > PRESSURE * BUDGET_BYTES
        if key in self.model and growth_bytes <= 0 and is_scarce and is_above_share:
            return self.owners[key]
        return account

    def weigh(self, key: str, value: bytes, account: Account) -> tuple[int, int, bool]:
        """Return the growth, the total after it, and if the account is above its share.

        The account is judged with the whole key, if it does not own it already.
        """
        after_model = self.model | {key: value}
        growth_bytes = used_bytes(after_model) - used_bytes(self.model)
        after_bytes = self.store.used_bytes + growth_bytes
        own_bytes = standalone_bytes(key, value)
        if key in self.model and self.owners[key] is account:
            own_bytes -= standalone_bytes(key, self.model[key])
        others = {a for a in self.accounts if a.stored_bytes and a is not UNKNOWN_PEER}
        is_above_share = account is not UNKNOWN_PEER and exceeds_share(
            account.stored_bytes + own_bytes,
            after_bytes,
            BUDGET_BYTES,
            len(others | {account}),
        )
        return growth_bytes, after_bytes, is_above_share

    @rule(key=paths)
    def delete(self, key: str) -> None:
        """Anybody may delete anybody's key."""
        self.store.delete(key)
        self.model.pop(key, None)

    @rule(path=paths)
    def delete_all(self, path: str) -> None:
        """A subtree is gone at once, even if its memory is freed later."""
        self.store.delete_all(path)
        self.model.delete_all(path)
        self.is_detached = True

    @rule(key=paths)
    def get_at(self, key: str) -> None:
        """A handle finds the key's value, whoever has written or deleted it."""
        handle = self.read_handles.setdefault(key, LeafHandle())
        for _ in range(2):
            assert self.store.get_at(key, handle) == self.model.get(key)

    @precondition(lambda self: self.store.used_bytes > used_bytes(self.model))
    @rule()
    def reclaim(self) -> None:
        """Each step frees some, and says whether there is more."""
        before_bytes = self.store.used_bytes
        is_more = self.store.reclaim()
        after_bytes = self.store.used_bytes
        assert after_bytes < before_bytes
        assert is_more == (after_bytes > used_bytes(self.model))
        self.is_detached = is_more

    @invariant()
    def holds_the_models_keys(self) -> None:
        """The store has the model's keys, whatever is detached."""
        assert sorted(self.store.items()) == sorted(self.model.items())

    @invariant()
    def stays_within_its_bounds(self) -> None:
        """The store exceeds the budget by at most the slack."""
        assert self.store.used_bytes <= BUDGET_BYTES + SLACK_BYTES
        assert 0 <= budget_of(self.store).slack_bytes <= SLACK_BYTES

    @invariant()
    def sums_are_right(self) -> None:
        """Totals are exact, and detached entries count until they are freed."""
        used = used_bytes(self.model)
        assert self.store.used_bytes >= used
        detached = self.store.used_bytes > used
        assert self.is_detached or not detached
        for account in self.accounts[1:]:
            own = sum(
                standalone_bytes(key, value)
                for key, value in self.model.items()
                if self.owners[key] is account
            )
            assert (
                account.stored_bytes >= own
                if detached
                else (account.stored_bytes == own)
            )
        assert budget_of(self.store).accounts == sum(
            account.stored_bytes > 0 for account in self.accounts[1:]
        )


TestBudgetMachine = pytest.mark.slow(BudgetMachine.TestCase)
TestBudgetMachine.settings = settings(max_examples=200, stateful_step_count=50)


def fill(store: Store, account: Account, size_bytes: int = 64 * 1024) -> Iterator[str]:
    """Add keys until the store refuses one."""
    number = 0
    with contextlib.suppress(LimitError):
        while True:
            key = f"/{account.name}/{number}"
            store.put(key, bytes(size_bytes), account=account)
            yield key
            number += 1


def test_known_keys_do_not_grow_without_bound() -> None:
    """One address cannot grow 150 known keys to 10 MB each past the budget.

    With a budget of 64 MiB they took more than a gigabyte.
    """
    store = Store(64 * MIB)
    attacker, worker = Account("10.0.0.1"), Account("10.0.0.2")
    store.put("/w/t/honest", bytes(5_000), account=worker)
    for number in range(150):
        store.put(f"/w/t/{number}", b"x", account=attacker)
    large, refused = bytes(10_000_000), 0
    for number in range(150):
        try:
            store.put(f"/w/t/{number}", large, account=attacker)
        except LimitError:
            refused += 1
    assert refused > 140
    assert store.used_bytes <= 64 * MIB


@pytest.mark.parametrize("addresses", [1, 2, 16, 200])
def test_growth_past_the_budget_stays_within_the_slack(addresses: int) -> None:
    """However many addresses take turns to grow their own or others' keys."""
    store = Store(64 * MIB)
    accounts = [Account(f"10.0.0.{number}") for number in range(addresses)]
    keys = [key for account in accounts for key in fill(store, account)]
    large = bytes(10_000_000)
    for size in (70_000, 1_000_000, len(large)):
        for number, key in enumerate(keys):
            for account in (accounts[number % addresses], accounts[-1]):
                with contextlib.suppress(LimitError):
                    store.put(key, large[:size], account=account)
    assert store.used_bytes <= 64 * MIB + budget.SLACK_BYTES


def test_worker_goes_on_when_attackers_have_taken_what_they_may() -> None:
    """An account below its share has room for a heartbeat that grows, and a new key."""
    store = Store(64 * MIB)
    workers = [Account(f"10.0.1.{number}") for number in range(100)]
    for number, worker in enumerate(workers):
        store.put(f"/w/t/{number}", bytes(1_500), account=worker)
    attackers = [Account(f"10.0.0.{number}") for number in range(16)]
    keys = {attacker: list(fill(store, attacker, 9_000)) for attacker in attackers}
    for size in (10_000, 65_536, 65_537, 1_000_000):
        for attacker in attackers:
            for key in (*keys[attacker], "/w/t/0"):
                with contextlib.suppress(LimitError):
                    store.put(key, bytes(size), account=attacker)
    for number, worker in enumerate(workers):
        store.put(f"/w/t/{number}", bytes(1_600), account=worker)
        store.put(f"/w/new/{number}", bytes(1_500), account=worker)


def test_deleted_key_of_another_makes_no_room_for_those_above_their_share() -> None:
    """A peer that deletes the workers' keys cannot store its own in their place."""
    store = Store(MIB)
    attacker, worker = Account("10.0.0.1"), Account("10.0.0.2")
    for number in range(20):
        store.put(f"/w/t/{number}", bytes(5_000), account=worker)
    list(fill(store, attacker, 1_000))
    store.delete_all("/w")
    assert worker.stored_bytes == 0
    list(fill(store, attacker, 900))
    for number in range(20):
        store.put(f"/w/t/{number}", bytes(5_000), account=worker)


def test_budget_forgets_growth_once_there_is_room() -> None:
    """Below three quarters of the budget, all growth is forgotten."""
    store = Store(MIB)
    account, other = Account("10.0.0.1"), Account("10.0.0.2")
    store.put("/other", b"", account=other)
    grown = []
    for _ in range(2):
        keys = list(fill(store, account, 1_000))
        for key in keys:
            with contextlib.suppress(LimitError):
                store.put(key, bytes(2_000), account=account)
        grown.append(budget_of(store).slack_bytes)
        for key in keys:
            store.delete(key)
    assert grown[0] == grown[1] > 0


def above_its_share(store: Store) -> tuple[Account, Account]:
    """Return an account above its share in a store that is nearly full, and another."""
    attacker, worker = Account("10.0.0.1"), Account("10.0.0.2")
    store.put("/w/worker", bytes(5_000), account=worker)
    list(fill(store, attacker, 1_000))
    store.put("/inherited", bytes(100_000))
    return attacker, worker


@pytest.mark.parametrize("size", [0, 4_999, 5_000])
def test_account_above_its_share_takes_over_no_key(size: int) -> None:
    """It may rewrite another account's key, which stays charged to that account."""
    store = Store(MIB)
    attacker, worker = above_its_share(store)
    before_bytes = attacker.stored_bytes
    store.put("/w/worker", bytes(size), account=attacker)
    assert store.get("/w/worker") == bytes(size)
    assert attacker.stored_bytes == before_bytes
    assert worker.stored_bytes == standalone_bytes("/w/worker", bytes(size))
    assert budget_of(store).accounts == 2


def test_account_below_its_share_takes_over_a_key() -> None:
    """A worker that has moved pays for its key at the new address."""
    store = Store(MIB)
    _, worker = above_its_share(store)
    moved = Account("10.0.0.3")
    store.put("/w/worker", bytes(4_000), account=moved)
    assert worker.stored_bytes == 0
    assert moved.stored_bytes == standalone_bytes("/w/worker", bytes(4_000))


def test_value_that_another_account_shrinks_gives_its_owner_slack_back() -> None:
    """A writer gets no slack back for growth that another account has paid for."""
    store = Store(MIB)
    attacker, worker = above_its_share(store)
    store.put("/w/worker", bytes(6_000), account=worker)
    store.budget_bytes = store.used_bytes
    store.put("/w/worker", bytes(7_000), account=worker)
    store.put("/w/worker", bytes(6_500), account=attacker)
    assert budget_of(store).slack_bytes == 500


def test_accounts_that_are_gone_count_as_one() -> None:
    """Connections that each leave a key do not reduce the share of the others."""
    store, heir = Store(MIB), Account("gone")
    worker = Account("10.0.0.2")
    for number in range(100):
        account = Account(f"127.0.0.1:{number}")
        store.put(f"/left/{number}", bytes(2_000), account=account)
        store.transfer_charges(account, heir)
    list(fill(store, worker, 1_000))
    assert budget_of(store).accounts == 2
    assert worker.stored_bytes > MIB // 3
    assert heir.stored_bytes == 100 * standalone_bytes("/left/1", bytes(2_000)) + 90


def test_what_is_gone_is_counted_out_of_its_heir() -> None:
    """A delete or rewrite of a gone account's key reduces the heir's total."""
    store, account, heir = Store(MIB), Account("127.0.0.1:1"), Account("gone")
    other = Account("10.0.0.1")
    for key in ("/a", "/b", "/c/1", "/d"):
        store.put(key, bytes(1_000), account=account)
    store.budget_bytes = store.used_bytes
    store.put("/d", bytes(1_300), account=account)
    store.transfer_charges(account, heir)
    assert (account.stored_bytes, budget_of(store).slack_bytes) == (0, 300)
    store.put("/d", bytes(1_200), account=other)
    assert budget_of(store).slack_bytes == 200, "given back by its heir"
    store.delete("/a")
    store.delete_all("/c")
    store.put("/b", b"", account=other)
    assert (account.stored_bytes, heir.stored_bytes) == (0, 0)
    assert budget_of(store).accounts == 1


def test_account_that_has_stored_nothing_leaves_nothing() -> None:
    """If it has stored nothing, its heir does not count as an account either."""
    store, heir = Store(MIB), Account("gone")
    store.transfer_charges(Account("127.0.0.1:1"), heir)
    assert (heir.stored_bytes, budget_of(store).accounts) == (0, 0)


def test_slack_is_full_again_once_there_is_room() -> None:
    """Whoever makes the room."""
    store, small = Store(MIB), Account("10.0.0.1")
    store.put("/small", bytes(100), account=small)
    store.put("/large", bytes(900_000))
    store.budget_bytes = 900_000
    store.put("/small", bytes(600), account=small)
    store.delete("/large")
    assert budget_of(store).slack_bytes == 500
    store.put("/new", b"", account=small)
    assert budget_of(store).slack_bytes == 0


@pytest.mark.parametrize("path", ["/w/new", "/w"])
def test_deleted_heartbeat_gives_its_slack_back(path: str) -> None:
    """With a limit for each address, the slack is refilled in no other way."""
    account, store = Account("10.0.0.1"), Store(64 * 2**20, 100_000)
    store.put("/other/key", bytes(95_000), account=account)
    for _ in range(200):
        store.put("/w/new", bytes(1000), account=account)
        store.put("/w/new", bytes(40_000), account=account)
        assert budget_of(store).slack_bytes > 0
        if path == "/w/new":
            store.delete(path)
        else:
            store.delete_all(path)
        while store.reclaim():
            pass
        assert budget_of(store).slack_bytes == 0


def test_heartbeat_that_grows_and_shrinks_takes_no_slack_in_the_end() -> None:
    """A compressed heartbeat is some bytes longer or shorter each time."""
    store = Store(MIB)
    worker = Account("10.0.0.2")
    store.put("/w", bytes(500), account=worker)
    store.budget_bytes = 1_000
    handle = KeyHandle("/w", worker)
    for number in range(1_000):
        store.put_at(handle, bytes(500 + number % 20))
    store.put_at(handle, bytes(500))
    assert budget_of(store).slack_bytes == 0
    store.put_at(handle, bytes(500 + 20))
    assert budget_of(store).slack_bytes == 20


def test_long_path_is_charged_to_its_writer() -> None:
    """A key is charged for all the nodes that it would need alone."""
    store, account = Store(), Account("10.0.0.1")
    store.put("/a" * 200, b"", account=account)
    assert account.stored_bytes == store.used_bytes > 50_000


def test_key_is_counted_as_new_once() -> None:
    """A rewrite is not new, whoever does it; a key stored after a delete is."""
    store, account, other = Store(), Account("10.0.0.1"), Account("10.0.0.2")
    for writer in (account, other, account):
        store.put("/a", b"x", account=writer)
    assert (account.uncharged_new_keys, other.uncharged_new_keys) == (1, 0)
    store.delete("/a")
    store.put("/a", b"x", account=other)
    assert (account.uncharged_new_keys, other.uncharged_new_keys) == (1, 1)
    with pytest.raises(LimitError):
        store.put("/" * 300, b"x", account=other)
    assert other.uncharged_new_keys == 1
    assert account.stored_bytes == 0


def test_large_subtree_is_gone_at_once_and_freed_in_steps() -> None:
    """A step frees at most a thousand entries, and the path can be used again."""
    store, account = Store(), Account("10.0.0.1")
    handle = KeyHandle("/w/t/0", account)
    store.put_at(handle, b"old")
    for number in range(1, 3_500):
        store.put(f"/w/t/{number}", b"x", account=account)
    store.delete_all("/w")
    assert store.get("/w/t/1") is None
    assert store.list_nodes("/w") == []
    assert len(store) == 3_502 - detached.FREED_PER_STEP
    store.put_at(handle, b"new")
    steps = 1
    while store.reclaim():
        steps += 1
    assert steps == 3
    assert store.get("/w/t/0") == b"new"
    assert (
        account.stored_bytes == store.used_bytes == standalone_bytes("/w/t/0", b"new")
    )
    assert not store.reclaim()
