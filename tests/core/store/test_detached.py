"""Tests of core.store.detached."""

from __future__ import annotations

from pacemaker.core.accounts.account import Account
from pacemaker.core.store.detached import FREED_PER_STEP, Detached, free_some
from pacemaker.core.store.trie import OWN_LEAF, Leaf, Node, path_bytes, standalone_bytes


class WatchedLock:
    """A lock that counts how many entries of a node were removed under it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._before = 0
        self.removed: list[int] = []

    def __enter__(self) -> None:
        self._before = len(self._node)

    def __exit__(self, *error: object) -> None:
        self.removed.append(self._before - len(self._node))


def test_only_some_entries_go_while_the_lock_is_held() -> None:
    """Between two locked steps, a list may copy the node."""
    node: Node = {str(number): Leaf(Account("a"), b"x") for number in range(1_500)}
    lock = WatchedLock(node)
    detached: Detached = [(node, 0)]
    assert free_some(detached, lock).keys == FREED_PER_STEP
    assert len(node) == 500
    assert free_some(detached, lock).keys == 500
    assert (detached, sum(lock.removed)) == ([], 1_500)
    assert max(lock.removed) <= 64


def test_each_account_gets_back_what_its_keys_would_take_alone() -> None:
    """This holds for keys at several depths, and for a key with keys below it."""
    first, second = Account("a"), Account("b")
    leaves = {"/t": Leaf(first, b"1"), "/t/x": Leaf(second, b"22")}
    below: Node = {OWN_LEAF: leaves["/t"], "x": leaves["/t/x"]}
    above_bytes = path_bytes([""])
    root: Node = {"t": below}
    sizes = {
        key: standalone_bytes(key.split("/"), leaf) for key, leaf in leaves.items()
    }
    freed = free_some([(root, above_bytes)], WatchedLock(root))
    assert freed.keys == 2
    assert freed.charges == {first: sizes["/t"], second: sizes["/t/x"]}
    assert all((leaf.account, leaf.value) == (None, b"") for leaf in leaves.values())
