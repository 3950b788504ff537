"""Paths of nodes as Storm accepts them, with doubled, missing or trailing slashes."""

from __future__ import annotations


def normalize(path: str) -> str:
    """Return the path as ZooKeeper writes it: ``a//b/`` becomes ``/a/b``.

    Raises:
        ValueError: a part of the path is ``.`` or ``..``, which no node can be named.
    """
    parts = [part for part in path.split("/") if part]
    if "." in parts or ".." in parts:
        raise ValueError(f"{path!r} is relative: '.' and '..' are not allowed")
    return "/" + "/".join(parts)


def parent(path: str) -> str:
    """Return the path of the parent node; the root is its own parent."""
    return normalize(normalize(path).rpartition("/")[0])


def join_path(root: str, path: str) -> str:
    """Return the full path of a path that is relative to a root node."""
    return normalize(f"{root}/{path}")
