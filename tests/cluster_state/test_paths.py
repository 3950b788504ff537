"""Tests of pacemaker.cluster_state.paths."""

from __future__ import annotations

import pytest

from pacemaker.cluster_state.paths import join_path, normalize, parent


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/a/b", "/a/b"),
        ("a/b", "/a/b"),
        ("//a///b/", "/a/b"),
        ("/", "/"),
        ("", "/"),
        ("/...", "/..."),
    ],
)
def test_path_has_one_form(path: str, normal: str) -> None:
    """However its slashes are written, a path is known by one form."""
    assert normalize(path) == normal


@pytest.mark.parametrize("path", ["..", "/a/../b", "/a/.", "./a"])
def test_relative_path_is_refused(path: str) -> None:
    """A part that no node can be named is an error."""
    with pytest.raises(ValueError, match="is relative"):
        normalize(path)


@pytest.mark.parametrize(
    ("path", "above"), [("/a/b", "/a"), ("a/b/", "/a"), ("/a", "/"), ("/", "/")]
)
def test_parent(path: str, above: str) -> None:
    """The parent is the node above; the root's is itself."""
    assert parent(path) == above


@pytest.mark.parametrize(
    ("root", "path", "full"),
    [("/storm", "/a", "/storm/a"), ("/", "a", "/a"), ("/storm", "/", "/storm")],
)
def test_path_below_a_root(root: str, path: str, full: str) -> None:
    """A path lies below its root, which may be ZooKeeper's own."""
    assert join_path(root, path) == full
