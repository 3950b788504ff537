"""Paths of nodes as Storm takes them: slashes may be doubled, missing, trailing."""

from __future__ import annotations


def normalize(path: str) -> str:
    """Return the path that ZooKeeper knows a node by: ``a//b/`` is ``/a/b``.

    Raises:
        ValueError: it has a part that no node can be named, ``.`` or ``..``.
    """
    parts = [part for part in path.split("/") if part]
    if "." in parts or ".." in parts:
        raise ValueError(f"{path!r} is relative")
    return "/" + "/".join(parts)


def parent(path: str) -> str:
    """Return the path of the node above; the root is its own parent."""
    return normalize(normalize(path).rpartition("/")[0])


def below(root: str, path: str) -> str:
    """Return where a path is, seen from the node that is the root for its caller."""
    return normalize(f"{root}/{path}")
