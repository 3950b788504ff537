"""Nodes for tests that share one ZooKeeper."""

from __future__ import annotations

import itertools

_numbers = itertools.count()


def next_name() -> str:
    """Return the path of a node that no other test has."""
    return f"/test-{next(_numbers)}"
