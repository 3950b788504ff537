"""Tests of core.store.store, most of them against a plain dict and the rule."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pacemaker.core.accounts.account import Account
from pacemaker.core.store import detached, trie
from pacemaker.core.store.store import KeyHandle, LeafHandle, Store
from pacemaker.core.store.trie import MAX_SEGMENT_BYTES, MAX_SEGMENTS, Node
from pacemaker.errors import LimitError
from tests.directories import ODD_PATHS, DirectoryModel, paths

DEEPEST = "/" * (MAX_SEGMENTS - 1)


def root_of(store: Store) -> Node:
    """Return the root of the trie; only this function looks inside the store."""
    return store._trie.root


def assert_empty(store: Store) -> None:
    """Check that no key has left anything behind."""
    assert (root_of(store), store.used_bytes, len(store)) == ({}, 0, 0)


def entries_of(store: Store) -> Iterator[tuple[dict[Any, Any], Any, Any]]:
    """Yield each entry of the trie with its node."""
    nodes = [root_of(store)]
    while nodes:
        node = nodes.pop()
        for segment, held in looked_up(node).items():
            yield node, segment, held
            if isinstance(held, dict):
                nodes.append(held)


def nodes_of(store: Store) -> list[dict[Any, Any]]:
    """Return all nodes of the trie."""
    nodes: list[dict[Any, Any]] = [root_of(store)]
    for node in nodes:
        nodes += [held for held in looked_up(node).values() if isinstance(held, dict)]
    return nodes


def shape_of(node: dict[Any, Any]) -> dict[Any, Any]:
    """Copy a trie, with its values in place of its leaves."""
    return {
        segment: shape_of(held) if isinstance(held, dict) else held.value
        for segment, held in looked_up(node).items()
    }


def assert_sound(store: Store) -> None:
    """Check the trie's invariants."""
    entries = list(entries_of(store))
    nodes = [held for _, _, held in entries if isinstance(held, dict)]
    assert None not in root_of(store), "the root has no key of its own"
    for node in nodes:
        assert node, "an empty node"
        assert list(looked_up(node)) != [None], "a node that has just its own value"
    for node in (root_of(store), *nodes):
        assert not any(map(trie.is_sparse, trie.parts_of(node)))
        assert not trie.is_crowded(node)
        assert len(node) == len(looked_up(node))
    assert len(store) == len(entries) - len(nodes)
    assert store.used_bytes == sum(
        trie.entry_bytes(segment, held) for _, segment, held in entries
    )


class StoreMachine(RuleBasedStateMachine):
    """Any calls in any order, on the store and on the model at once."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.model = DirectoryModel()
        self.handles: dict[str, KeyHandle] = {}
        self.read_handles: dict[str, LeafHandle] = {}

    @rule(key=paths, value=st.binary(max_size=3))
    def put(self, key: str, value: bytes) -> None:
        """A stored value replaces the old one."""
        self.store.put(key, value)
        self.model[key] = value

    @rule(key=paths, value=st.binary(max_size=3))
    def put_at(self, key: str, value: bytes) -> None:
        """A handle refers to its key, whatever has happened since its last use."""
        self.store.put_at(self.handles.setdefault(key, KeyHandle(key)), value)
        self.model[key] = value

    @rule(key=paths, value=st.binary(max_size=3))
    def put_where_the_budget_is_used_up(self, key: str, value: bytes) -> None:
        """A known key is rewritten; a new one is refused and leaves nothing behind."""
        self.store.budget_bytes = self.store.used_bytes
        before = shape_of(root_of(self.store)), self.store.used_bytes
        if key in self.model:
            self.store.put(key, value)
            self.model[key] = value
        else:
            with pytest.raises(LimitError, match="store is full"):
                self.store.put(key, value)
            assert before == (shape_of(root_of(self.store)), self.store.used_bytes)
        self.store.budget_bytes = sys.maxsize

    @rule(key=paths)
    def delete(self, key: str) -> None:
        """A delete removes only that key."""
        self.store.delete(key)
        self.model.pop(key, None)

    @rule(path=paths)
    def delete_all(self, path: str) -> None:
        """A delete of a directory removes exactly what the rule says."""
        self.store.delete_all(path)
        self.model.delete_all(path)

    @rule(path=paths)
    def ask(self, path: str) -> None:
        """A key has the model's value and a directory the model's names."""
        assert self.store.get(path) == self.model.get(path)
        names = self.store.list_nodes(path)
        assert len(names) == len(set(names))
        assert set(names) == self.model.list_nodes(path)

    @rule(path=paths)
    def get_at(self, path: str) -> None:
        """A handle finds its key or none, whatever has happened since its last use."""
        handle = self.read_handles.setdefault(path, LeafHandle())
        for _ in range(2):
            assert self.store.get_at(path, handle) == self.model.get(path)

    @invariant()
    def holds_no_deleted_value(self) -> None:
        """No handle keeps the value of a deleted key alive."""
        for handles in (self.handles, self.read_handles):
            for key, handle in handles.items():
                assert key in self.model or not handle.leaf.value

    @invariant()
    def is_sound(self) -> None:
        """The trie is valid, and has the model's keys."""
        assert_sound(self.store)
        assert len(self.store) == len(self.model)
        assert sorted(self.store.items()) == sorted(self.model.items())
        if not self.model:
            assert_empty(self.store)


class WideStoreMachine(StoreMachine):
    """The same machine, but nodes of four entries are already wide."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(trie, "WIDE_ENTRIES", 4)
        self.patch.setattr(trie, "_WIDE_PARTS", 3)

    def teardown(self) -> None:
        """Restore the limits."""
        self.patch.undo()


TestWideStoreMachine = pytest.mark.slow(WideStoreMachine.TestCase)
TestWideStoreMachine.settings = settings(max_examples=150, stateful_step_count=40)
TestStoreMachine = pytest.mark.slow(StoreMachine.TestCase)
TestStoreMachine.settings = settings(max_examples=150, stateful_step_count=40)


@pytest.mark.parametrize("deleted", ODD_PATHS)
def test_every_path_is_deleted_and_listed_by_the_rule(deleted: str) -> None:
    """With all odd keys stored, each list and delete follows the rule."""
    store, model = Store(), DirectoryModel()
    for number, key in enumerate(ODD_PATHS):
        store.put(key, b"%d" % number)
        model[key] = b"%d" % number
    store.delete_all(deleted)
    model.delete_all(deleted)
    assert_sound(store)
    for path in ODD_PATHS:
        assert store.get(path) == model.get(path)
        assert set(store.list_nodes(path)) == model.list_nodes(path)


def test_place_of_a_refused_key_is_no_place() -> None:
    """`put_at` refuses what `put` refuses, and a later try may succeed."""
    store, place = Store(budget_bytes=0), KeyHandle("/a")
    for _ in range(2):
        with pytest.raises(LimitError, match="store is full"):
            store.put_at(place, b"x")
    store.budget_bytes = 10_000
    store.put_at(place, b"x")
    assert store.get("/a") == b"x"
    with pytest.raises(LimitError, match="path too deep"):
        store.put_at(KeyHandle(DEEPEST + "/"), b"x")


def test_place_is_valid_though_its_node_was_folded() -> None:
    """If a node has only its own value left, the leaf takes the node's place."""
    store, place = Store(), KeyHandle("/a")
    store.put("/a/b", b"x")
    store.put_at(place, b"x")
    leaf = place.leaf
    store.delete("/a/b")
    store.put_at(place, b"y")
    store.put("/a/b", b"x")
    store.put_at(place, b"z")
    assert place.leaf is leaf
    assert store.get("/a") == b"z"


class LookingStore(Store):
    """A store that counts how often `put_at` has to look a key up."""

    puts = 0

    def put(self, *args: Any, **kwargs: Any) -> None:
        """Count, and store."""
        self.puts += 1
        super().put(*args, **kwargs)


def test_place_is_used_though_others_wait_for_keys() -> None:
    """A key that exists is not awaited, even while others are."""
    store, place = LookingStore(), KeyHandle("/a")
    store.put_at(place, b"1")
    assert store.await_key("/b", lambda key: None)
    store.put_at(place, b"2")
    assert (store.get("/a"), store.puts) == (b"2", 1)


@pytest.mark.parametrize("deleted", ["/w/t/0", "/w/t/0/", "/w", ""])
@pytest.mark.parametrize("call", [Store.delete, Store.delete_all])
def test_place_of_a_deleted_key_holds_no_heartbeat(
    call: Callable[[Store, str], None], deleted: str
) -> None:
    """After a delete the handle's leaf is empty, and `put_at` stores a new one."""
    store, place = Store(), KeyHandle("/w/t/0")
    store.put("/w/t/1", b"x")
    store.put_at(place, b"x")
    call(store, deleted)
    if store.get("/w/t/0") is None:
        assert place.leaf.value == b""
    store.put_at(place, b"y")
    assert store.get("/w/t/0") == b"y"
    assert_sound(store)


def test_handle_finds_its_key_without_a_look_up() -> None:
    """Rewritten by anybody, or with keys below it, a key keeps its leaf."""
    store, handle = Store(), LeafHandle()
    store.put("/a", b"1")
    assert store.get_at("/a", handle) == b"1"
    # Another key, so that a look-up would show.
    elsewhere = "/b"
    store.put("/a", b"2", account=Account("10.0.0.1"))
    assert store.get_at(elsewhere, handle) == b"2"
    store.put("/a/c", b"x")
    store.put("/a", b"3")
    assert store.get_at(elsewhere, handle) == b"3"
    store.delete("/a/c")
    store.put("/a", b"")
    assert store.get_at(elsewhere, handle) == b""


@pytest.mark.parametrize("key", ["/a", "/a/", "", DEEPEST, DEEPEST + "/"])
def test_handle_of_an_absent_key_finds_nothing(key: str) -> None:
    """It finds the key once it is stored; a key that is too deep never is."""
    store, handle = Store(), LeafHandle()
    store.put("/a/b", b"x")
    for _ in range(2):
        assert store.get_at(key, handle) is None
    with contextlib.suppress(LimitError):
        store.put(key, b"y")
    assert store.get_at(key, handle) == store.get(key)


@pytest.mark.parametrize("deleted", ["/w/t/0", "/w/t/0/", "/w", "", "/w/t/1", "/x"])
@pytest.mark.parametrize("call", [Store.delete, Store.delete_all])
@pytest.mark.parametrize("has_below", [False, True])
def test_handle_of_a_deleted_key_finds_nothing(
    call: Callable[[Store, str], None], deleted: str, has_below: bool
) -> None:
    """It holds no heartbeat, and finds the next one of the key."""
    store, handle = Store(), LeafHandle()
    store.put("/x/y", b"x")
    store.put("/w/t/1", b"x")
    store.put("/w/t/0", b"x")
    if has_below:
        store.put("/w/t/0/below", b"x")
    assert store.get_at("/w/t/0", handle) == b"x"
    call(store, deleted)
    expected = store.get("/w/t/0")
    assert handle.leaf.value == (expected or b"")
    assert store.get_at("/w/t/0", handle) == expected
    store.put("/w/t/0", b"y")
    assert store.get_at("/w/t/0", handle) == b"y"


def test_handle_finds_nothing_in_a_subtree_that_is_not_freed_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leaf still has its value and its account, but the epoch has changed."""
    monkeypatch.setattr(detached, "FREED_PER_STEP", 1)
    store, handle = Store(), LeafHandle()
    for number in range(3):
        store.put(f"/w/t/{number}", b"old")
    assert store.get_at("/w/t/0", handle) == b"old"
    store.delete_all("/w")
    assert (handle.leaf.value, store.get_at("/w/t/0", handle)) == (b"old", None)
    # Not yet stored again, it is still looked up each time.
    assert store.get_at("/w/t/0", handle) is None
    while store.reclaim():
        pass
    assert handle.leaf.value == b""
    store.put("/w/t/0", b"new")
    assert store.get_at("/w/t/0", handle) == b"new"


def test_empty_details_are_a_value() -> None:
    """A key with an empty value exists; one that was never stored does not."""
    store = Store()
    store.put("/a", b"")
    assert store.get("/a") == b""
    assert store.get("/a/") is None
    assert len(store) == 1


def test_value_is_the_very_object() -> None:
    """A read returns the stored object, not a copy."""
    store, value = Store(), bytes(1000)
    store.put("/a", value)
    assert store.get("/a") is value


def test_used_bytes_follow_a_value_that_changes() -> None:
    """A rewritten key counts with the size of its new value."""
    store = Store()
    store.put("/a", bytes(10))
    before_bytes = store.used_bytes
    store.put("/a", bytes(1010))
    assert store.used_bytes == before_bytes + 1000
    store.put("/a", b"")
    assert store.used_bytes == before_bytes - 10


def test_key_weighs_the_same_when_it_goes() -> None:
    """A str grows once C code asks for its UTF-8; the budget ignores that."""
    store = Store()
    store.put("/été/日本", b"x")
    for name in store.list_nodes(""):
        before_bytes = sys.getsizeof(name)
        ctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(name))
        assert sys.getsizeof(name) > before_bytes
    store.delete_all("/")
    assert store.used_bytes == 0


def test_other_memory_counts_in_the_budget() -> None:
    """The history's memory leaves less room for new keys, until it is freed."""
    measure = Store()
    measure.put("/a", b"x")
    store = Store(measure.used_bytes)
    store.count_other_bytes(1)
    assert store.used_bytes == 1
    with pytest.raises(LimitError, match="store is full"):
        store.put("/a", b"x")
    store.count_other_bytes(-1)
    store.put("/a", b"x")
    assert store.used_bytes == measure.used_bytes


def test_repr_shows_the_state() -> None:
    """The repr has the number of keys and the bytes used."""
    assert repr(Store()) == "<Store keys=0 used_bytes=0>"


# --- the budget -------------------------------------------------------------


def test_budget_is_spent_to_the_byte() -> None:
    """A key that just fits is stored; with one byte less of budget it is not."""
    measure = Store()
    measure.put("/a/b", b"xyz")
    Store(measure.used_bytes).put("/a/b", b"xyz")
    with pytest.raises(LimitError, match="store is full"):
        Store(measure.used_bytes - 1).put("/a/b", b"xyz")


@pytest.mark.parametrize("key", ["/new", "/a/b/c", "/a", "/known/deep/er", "b", "//"])
def test_refused_key_leaves_no_trace(key: str) -> None:
    """A refused key leaves no nodes in the trie."""
    store = Store()
    for known in ("/known", "/a/b", "/a/b2/c"):
        store.put(known, b"x")
    before = shape_of(root_of(store)), store.used_bytes, len(store)
    store.budget_bytes = store.used_bytes
    with pytest.raises(LimitError):
        store.put(key, b"x")
    assert before == (shape_of(root_of(store)), store.used_bytes, len(store))
    assert_sound(store)


def test_known_key_is_rewritten_past_the_budget() -> None:
    """A known worker's pulses are stored, however large its heartbeat has become."""
    store = Store()
    store.put("/a", b"x")
    store.budget_bytes = 0
    store.put("/a", bytes(1000))
    assert store.get("/a") == bytes(1000)


def test_budget_is_free_again_after_a_delete() -> None:
    """The memory of a deleted key can be used for another key."""
    store = Store()
    store.put("/a/b", b"x")
    store.budget_bytes = store.used_bytes
    store.delete("/a/b")
    store.put("/c/d", b"x")
    assert store.get("/c/d") == b"x"


def fill_a_cluster(store: Store) -> None:
    """Store the heartbeats of 5,000 workers."""
    for number in range(5_000):
        key = f"/workerbeats/topology-{number % 50}-1-1700000000/0a1b2c3d-{number}"
        store.put(key, bytes(300))


def fill_chains(store: Store) -> None:
    """Store few keys of many segments."""
    for number in range(500):
        store.put(f"/{number}" + "/a" * 40, b"")


def fill_wide_names(store: Store) -> None:
    """Store names whose characters take four bytes each."""
    for number in range(1_000):
        store.put(f"/{number}" + "\U0001f600" * 50, b"")


def fill_and_empty(store: Store) -> None:
    """Store many names below many nodes, and delete all but two per node."""
    for number in range(200):
        for name in range(85):
            store.put(f"/{number}/{name}", b"")
        for name in range(83):
            store.delete(f"/{number}/{name}")


@pytest.mark.parametrize(
    "fill", [fill_a_cluster, fill_chains, fill_wide_names, fill_and_empty]
)
def test_budget_counts_what_python_takes(fill: Callable[[Store], None]) -> None:
    """The count is at least the memory used, and not several times more."""
    store = Store()
    tracemalloc.start()
    try:
        fill(store)
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken_bytes < store.used_bytes < 3.5 * taken_bytes


# --- bounds -----------------------------------------------------------------


def test_key_has_at_most_so_many_segments() -> None:
    """A key of MAX_SEGMENTS is stored; a longer one is refused and never exists."""
    store = Store()
    store.put(DEEPEST, b"x")
    assert store.get(DEEPEST) == b"x"
    with pytest.raises(LimitError, match="path too deep") as refused:
        store.put(DEEPEST + "/", b"x")
    assert refused.value.detail.startswith("'////"), "it names the path"
    assert refused.value.detail.endswith(f": at most {MAX_SEGMENTS} segments")
    assert store.get(DEEPEST + "/") is None
    assert_sound(store)


@pytest.mark.parametrize("longest", ["n" * MAX_SEGMENT_BYTES, "é" * 127], ids=ascii)
def test_segment_has_at_most_so_many_bytes(longest: str) -> None:
    """The longest segment is stored; a longer one is refused, wherever it stands."""
    store = Store()
    for key in (f"/w/{longest}", f"/{longest}/w"):
        store.put(key, b"x")
        assert store.get(key) == b"x"
    for key in (f"/w/{longest}é", f"/{longest}é/w", f"/w/{longest}/{longest}é"):
        with pytest.raises(LimitError, match="name too long") as refused:
            store.put(key, b"x")
        assert refused.value.detail.endswith(f": at most {MAX_SEGMENT_BYTES} bytes")
        assert store.get(key) is None
    assert_sound(store)


def test_deepest_key_is_in_its_directories() -> None:
    """The rule for directories also holds at the maximum depth."""
    store = Store()
    key = DEEPEST[:-1] + "/a"
    store.put(key, b"x")
    assert store.list_nodes("") == ["a"]
    assert store.list_nodes(DEEPEST) == ["a"]
    assert store.list_nodes(key) == []
    assert store.list_nodes(key + "/") == []
    store.delete_all(key + "/")
    assert store.get(key) is None
    assert store.used_bytes == 0


def test_ten_mebibytes_of_slashes_are_nothing() -> None:
    """A path of slashes only creates no nodes, in any request."""
    store, path = Store(), "/" * 10 * 1024 * 1024
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="path too deep"):
            store.put(path, b"x")
        assert store.get(path) is None
        assert store.list_nodes(path) == []
        store.delete(path)
        store.delete_all(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2.5 * len(path), "more than two copies of the path"
    assert root_of(store) == {}


# --- coming and going -------------------------------------------------------


@pytest.mark.parametrize("directory", ["", "/workerbeats/t"])
def test_keys_that_go_leave_no_growth(directory: str) -> None:
    """When ten of 100,000 keys remain, the node is as small as ten keys need."""
    store = Store()
    for number in range(100_000):
        store.put(f"{directory}/{number}", b"")
    for number in range(99_990):
        store.delete(f"{directory}/{number}")
    node = next(n for n, segment, _ in entries_of(store) if segment == "99999")
    assert len(node) == 10
    assert sys.getsizeof(node) <= 10 * trie.SPARSE_BYTES_PER_ENTRY
    assert_sound(store)
    for number in range(99_990, 100_000):
        store.delete(f"{directory}/{number}")
    assert_empty(store)


def test_root_that_has_emptied_is_laid_anew() -> None:
    """Keys without a leading slash are in the root, which shrinks like any node."""
    store = Store()
    for number in range(10_000):
        store.put(str(number), b"")
    for number in range(10_000):
        store.delete(str(number))
    assert sys.getsizeof(root_of(store)) <= trie.SPARSE_MIN_BYTES


def test_topologies_come_and_go_without_growth() -> None:
    """Ten thousand topologies, a few at a time, leave nothing behind."""
    store = Store()
    for number in range(10_000):
        store.put(f"/workerbeats/topology-{number}/a-6700", b"x")
        store.put(f"/workerbeats/topology-{number}/a-6701", b"x")
        store.delete_all(f"/workerbeats/topology-{number - 5}")
    assert len(store) == 10
    node = root_of(store)[""]
    assert isinstance(node, dict)
    assert sys.getsizeof(node["workerbeats"]) <= trie.SPARSE_MIN_BYTES
    assert_sound(store)


class CountingNode(dict[Any, Any]):
    """A node that counts look-ups."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        CountingNode.looks += len(self)
        return super().__iter__()

    def popitem(self) -> Any:
        """Count, and remove an entry."""
        CountingNode.looks += 1
        return super().popitem()


def count_looks(node: dict[Any, Any]) -> None:
    """Make all nodes below a node count."""
    for segment, held in node.items():
        if isinstance(held, dict):
            count_looks(held)
            node[segment] = CountingNode(held)


def test_list_and_delete_do_not_depend_on_what_else_is_stored() -> None:
    """A list costs its answer, a delete what it removes; siblings cost nothing."""
    store = Store()
    for number in range(1_000):
        store.put(f"/workerbeats/topology-{number}/w", b"x")
    for number in range(10):
        store.put(f"/workerbeats/mine/worker-{number}", b"x")
    count_looks(root_of(store))
    CountingNode.looks = 0
    assert len(store.list_nodes("/workerbeats/mine")) == 10
    assert CountingNode.looks == 10
    store.delete_all("/workerbeats/mine")
    assert CountingNode.looks == 20
    assert not store.list_nodes("/workerbeats/mine")


def looked_up(node: dict[Any, Any]) -> dict[Any, Any]:
    """Copy a node of any kind through its parts."""
    return {name: held for part in trie.parts_of(node) for name, held in part.items()}


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", "/w", "/w/t", "/w/t/deep/er"])
@pytest.mark.parametrize("end", ["", "/x"])
def test_huge_directory_lies_in_small_parts(path: str, end: str) -> None:
    """No dict becomes so large that growing or copying it takes long."""
    store, count = Store(), 40_000
    store.put(path or "/", b"own")
    place = KeyHandle(f"{path}/5{end}")
    store.put_at(place, b"old")
    for number in range(count):
        store.put(f"{path}/{number}{end}", b"%d" % number)
    sizes = [len(part) for node in nodes_of(store) for part in trie.parts_of(node)]
    assert max(sizes) < trie.WIDE_ENTRIES
    store.put_at(place, b"new")
    assert store.get(f"{path}/5{end}") == b"new"
    assert store.get(path or "/") == b"own"
    assert set(store.list_nodes(path)) == {str(number) for number in range(count)}
    assert dict(store.items())[f"{path}/39999{end}"] == b"39999"
    for number in range(10, count):
        store.delete(f"{path}/{number}{end}")
    assert not [node for node in nodes_of(store) if isinstance(node, trie.WideNode)]
    assert len(store.list_nodes(path)) == 10
    assert_sound(store)
    store.delete_all("")
    store.delete_all("/")
    assert_empty(store)


def test_huge_subtree_is_freed_in_steps() -> None:
    """A million entries would stop all threads for a tenth of a second."""
    store, count = Store(), 40_000
    for number in range(count):
        store.put(f"/w/{number}/x", b"")
    store.delete_all("/w")
    steps = 1
    while store.reclaim():
        steps += 1
    assert steps == 2 * count // detached.FREED_PER_STEP
    assert_empty(store)


# --- threads ----------------------------------------------------------------


def hammer(store: Store, random: Random, shared: dict[str, LeafHandle]) -> None:
    """Make thousands of calls on a few keys; they may succeed or be refused."""
    places = {path: KeyHandle(path) for path in ODD_PATHS}
    calls: list[Callable[[str], object]] = [
        lambda path: store.put(path, random.randbytes(random.randint(0, 99))),
        lambda path: store.put_at(places[path], random.randbytes(9)),
        store.get,
        lambda path: store.get_at(path, shared[path]),
        store.list_nodes,
        store.delete,
        store.delete_all,
    ]
    for _ in range(5_000):
        (call,) = random.choices(calls, (4, 4, 1, 1, 1, 3, 1))
        with contextlib.suppress(LimitError):
            call(random.choice(ODD_PATHS))


def test_threads_leave_a_sound_store() -> None:
    """Threads that use the same few keys at once leave a valid trie."""
    store = Store(budget_bytes=6_000)
    shared = {path: LeafHandle() for path in ODD_PATHS}
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            runs = [
                threads.submit(hammer, store, Random(n), shared)  # noqa: S311  (no secret)
                for n in range(4)
            ]
            for run in runs:
                run.result()
    finally:
        sys.setswitchinterval(interval_s)
    assert_sound(store)
    for path in ODD_PATHS:
        assert store.get_at(path, shared[path]) == store.get(path)
        store.delete(path)
        assert store.get_at(path, shared[path]) is None
    assert_empty(store)


READ = "/w/t/0"


@contextlib.contextmanager
def called_between_instructions(
    function: Callable[..., object], call: Callable[[], None]
) -> Iterator[None]:
    """Call something before each instruction of a function of the store."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is not function.__code__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            call()
        return trace

    tracer = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(tracer)


def unread(store: Store, handle: LeafHandle) -> None:
    """Store a key that nobody has read."""
    store.put(READ, b"old")


def read_before(store: Store, handle: LeafHandle) -> None:
    """Store a key, and read it."""
    store.put(READ, b"old")
    store.get_at(READ, handle)


def moved(store: Store, handle: LeafHandle) -> None:
    """Store and read a key; delete its directory, and store it again."""
    store.put(READ, b"older")
    store.get_at(READ, handle)
    store.delete_all("/w")
    store.put(READ, b"old")


@pytest.mark.parametrize("first", [unread, read_before, moved])
@pytest.mark.parametrize("delete", [None, Store.delete, Store.delete_all])
@pytest.mark.parametrize("is_put", [False, True])
def test_read_without_the_lock_finds_what_was_there_before_or_after(
    first: Callable[[Store, LeafHandle], None],
    delete: Callable[[Store, str], None] | None,
    is_put: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever other threads do between two instructions of the read."""
    # The leaves of a detached subtree keep their values.
    monkeypatch.setattr(detached, "FREED_PER_STEP", 0)

    def read_meanwhile(number: int) -> bool:
        """Read, and do it before one of the instructions, if there are as many."""
        store, handle, left = Store(), LeafHandle(), number

        def count_down() -> None:
            nonlocal left
            # Other threads would have to wait for the lock.
            if not store._lock.locked():
                left -= 1
                if left == -1:
                    if delete is not None:
                        delete(store, READ)
                    if is_put:
                        store.put(READ, b"new")
                    store.get_at(READ, handle)

        first(store, handle)
        with called_between_instructions(Store.get_at, count_down):
            value = store.get_at(READ, handle)
        assert value in (b"old", store.get(READ))
        return left < 0

    numbers = itertools.takewhile(read_meanwhile, itertools.count())
    assert max(numbers) > 10


def test_key_that_is_deleted_does_not_look_empty() -> None:
    """A read without the lock may come between any two instructions of the delete."""
    store, handle = Store(), LeafHandle()
    read_before(store, handle)
    seen = set[bytes | None]()

    def look() -> None:
        leaf = handle.leaf
        seen.add(None if leaf.account is None else leaf.value)

    with called_between_instructions(Store._delete_leaf, look):
        store.delete(READ)
    assert seen == {b"old", None}


# --- keys that are awaited --------------------------------------------------


def test_awaited_key_is_told_of_once() -> None:
    """A callback is called for the first value only, even if registered twice."""
    store, told = Store(), list[str]()
    assert store.await_key("/a", told.append)
    assert store.await_key("/a", told.append)
    store.put("/a/b", b"")
    assert told == []
    store.put("/a", b"")
    store.put("/a", b"")
    assert told == ["/a"]
    store.delete("/a")
    assert store.await_key("/a", told.append)
    store.put("/a", b"")
    assert told == ["/a", "/a"], "once for each time that it is awaited"


def test_key_that_is_there_or_never_will_be_is_not_awaited() -> None:
    """`await_key` returns False, because there is nothing to wait for."""
    store = Store()
    store.put("/a", b"")
    assert not store.await_key("/a", print)
    assert not store.await_key(DEEPEST + "/", print)
    assert store.await_key("/a/b", print)


def test_waiter_that_has_stopped_is_not_told() -> None:
    """Other callbacks for the key are still called, and nothing is left behind."""
    store, told, others = Store(), list[str](), list[str]()
    store.await_key("/a", told.append)
    store.await_key("/a", others.append)
    store.stop_awaiting("/a", told.append)
    store.stop_awaiting("/a", told.append)
    store.stop_awaiting("/b", told.append)
    store.put("/a", b"")
    assert (told, others) == ([], ["/a"])
    store.await_key("/b", told.append)
    store.stop_awaiting_all()
    store.put("/b", b"")
    assert told == []


def test_waiter_may_call_the_store() -> None:
    """The callback runs without the lock, after the value is stored."""
    store, seen = Store(), list[bytes | None]()
    store.await_key("/a", lambda key: seen.append(store.get(key)))
    store.put("/a", b"x")
    assert seen == [b"x"]


def test_no_pulse_comes_between_look_and_wait() -> None:
    """While others store the keys, each is either found or reported, never missed."""
    store, told = Store(), set[str]()
    keys = [f"/{number}" for number in range(5_000)]

    def put_all() -> None:
        for key in keys:
            store.put(key, b"")

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            puts = threads.submit(put_all)
            waits = threads.submit(
                lambda: [key for key in keys if store.await_key(key, told.add)]
            )
            awaited = waits.result()
            puts.result()
    finally:
        sys.setswitchinterval(interval_s)
    assert told == set(awaited)


def test_store_tells_its_budget() -> None:
    """The budget can be set and read; without one there is no limit."""
    assert Store(budget_bytes=6_000).budget_bytes == 6_000
    assert Store().budget_bytes == sys.maxsize


def test_store_has_all_items_and_counts_what_it_refuses() -> None:
    """Keys with keys below them are items, too."""
    store = Store()
    stored = {"/a": b"1", "/a/b": b"2", "/a/": b"3", "": b"4"}
    for key, value in stored.items():
        store.put(key, value)
    store.budget_bytes = store.used_bytes
    for _ in range(2):
        with pytest.raises(LimitError):
            store.put("/c", b"")
    assert (dict(store.items()), store.refused) == (stored, 2)


def test_account_is_above_its_share_from_a_number_on_at_any_time() -> None:
    """A number applies even though the store is almost empty."""
    store = Store(budget_bytes=1_000_000, account_limit_bytes=10_000)
    small, large = Account("10.0.0.5"), Account("10.0.0.6")
    store.put("/w/1", bytes(10), account=small)
    with pytest.raises(LimitError, match="above its limit") as refused:
        store.put("/w/2", bytes(20_000), account=large)
    assert "nearly full" not in str(refused.value)
    assert (len(store), large.stored_bytes) == (1, 0)
