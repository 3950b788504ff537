"""Tests of core.store.trie; the store's tests try it with random calls."""

from __future__ import annotations

import sys

import pytest

from pacemaker.core.accounts.account import UNKNOWN_PEER
from pacemaker.core.store.trie import (
    MAX_SEGMENTS,
    OWN_LEAF,
    Leaf,
    Trie,
    WideNode,
    added_bytes,
    characters_bytes,
    entry_bytes,
    split,
    split_directory,
    standalone_bytes,
)

KEYS = (
    "/a",
    "/a/b",
    "/a/b/c/d",
    "/a/",
    "",
    "/",
    "/x/y/z",
    "/x/y",
    "/x",
    "/x/y/z/\u20ac",
)


def add(trie: Trie, key: str) -> int:
    """Add a key; return the bytes that it was computed to add."""
    segments, leaf = key.split("/"), Leaf(UNKNOWN_PEER, key.encode())
    point = trie.insertion_point(segments)
    size_bytes = added_bytes(point, segments, leaf)
    trie.add(point, segments, leaf)
    return size_bytes


def total_bytes(node: dict[str | None, Leaf | dict]) -> int:  # type: ignore[type-arg]
    """Return the size of all entries below a node."""
    return sum(
        entry_bytes(segment, entry)
        + (total_bytes(entry) if isinstance(entry, dict) else 0)
        for segment, entry in node.items()
    )


def test_added_bytes_are_those_of_the_entries() -> None:
    """Whatever a path shares with other keys, the sizes add up to the whole trie."""
    for keys in (KEYS, KEYS[::-1]):
        trie, added = Trie(), 0
        for key in keys:
            added += add(trie, key)
            assert total_bytes(trie.root) == added
        assert sorted(trie.items()) == sorted((key, key.encode()) for key in keys)


def test_removed_bytes_are_those_of_the_nodes() -> None:
    """A removal, with its entry, subtracts exactly what was added."""
    trie = Trie()
    left = sum(add(trie, key) for key in KEYS)
    for key in KEYS:
        trail, leaf = trie.walk_to_leaf(key.split("/"))
        assert trie.leaf_at(key.split("/")) is leaf
        assert leaf is not None
        segment, nodes_bytes = trie.remove(trail)
        left -= nodes_bytes + entry_bytes(segment, leaf)
        assert total_bytes(trie.root) == left
    assert (trie.root, left) == ({}, 0)


@pytest.mark.parametrize("key", KEYS)
def test_key_that_is_alone_adds_all_that_it_takes(key: str) -> None:
    """The two sizes of a key agree if nothing else is stored."""
    leaf = Leaf(UNKNOWN_PEER, key.encode())
    assert add(Trie(), key) == standalone_bytes(key.split("/"), leaf)


def test_spot_has_the_leaf_of_the_key_or_of_a_shorter_one() -> None:
    """A point distinguishes an existing key from one of which only a prefix exists."""
    trie = Trie()
    add(trie, "/a")
    node, depth, leaf = trie.insertion_point(["", "a"])
    assert (depth, leaf) == (1, node["a"])
    assert trie.insertion_point(["", "a", "b"]) == (node, 1, leaf)
    assert trie.insertion_point(["", "b", "c"]) == (node, 1, None)
    add(trie, "/a/b")
    below = node["a"]
    assert isinstance(below, dict)
    assert trie.insertion_point(["", "a"]) == (below, 2, below[OWN_LEAF])
    assert trie.insertion_point([""]) == (node, 1, None)


def test_known_leaf_is_that_of_a_key_without_others_below() -> None:
    """It is None for an absent key, one below a leaf, and one with keys below it."""
    trie = Trie()
    for key in ("/a", "/a/b"):
        add(trie, key)
    assert trie.childless_leaf(["", "a", "b"]) is not None
    for segments in (["", "a"], ["", "a", "b", "c"], ["", "x"]):
        assert trie.childless_leaf(segments) is None


def test_wide_node_counts_and_finds_its_entries() -> None:
    """A wide node can be used like a dict, except for iteration."""
    leaf = Leaf(UNKNOWN_PEER, b"")
    node = WideNode({str(number): leaf for number in range(1_000)})
    node["7"] = leaf
    assert (len(node), "7" in node, "x" in node) == (1_000, True, False)
    assert (node["7"], node.get("7"), node.get("x", 3)) == (leaf, leaf, 3)
    del node["7"]
    assert sorted(node.popitem()[0] or "" for _ in range(999)) == sorted(
        str(number) for number in range(1_000) if number != 7
    )


def test_path_with_too_many_segments_has_none() -> None:
    """One slash at the end of a directory makes no difference."""
    assert len(split("/" * (MAX_SEGMENTS - 1)) or ()) == MAX_SEGMENTS
    assert split("/" * MAX_SEGMENTS) is None
    assert split_directory("/a/") == split_directory("/a") == ["", "a"]
    assert len(split_directory("/" * MAX_SEGMENTS) or ()) == MAX_SEGMENTS
    assert split_directory("/" * (MAX_SEGMENTS + 1)) is None


@pytest.mark.parametrize(
    "text", ["", "worker-1", "caf\xe9", "\u4e16\u754c", "\U0001f40d"]
)
def test_characters_count_for_no_less_than_they_take(text: str) -> None:
    """CPython's own number, whatever the width of a character, is never larger."""
    taken_bytes = sys.getsizeof(text * 2) - sys.getsizeof(text)
    assert taken_bytes <= characters_bytes(text)
