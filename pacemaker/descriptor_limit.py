"""The limit of open descriptors of this process (RLIMIT_NOFILE)."""

from __future__ import annotations

import resource
import sys


def raise_descriptor_limit(wanted: int | None = None) -> int:
    """Raise the soft limit, but not above the hard one and not above what is wanted.

    Args:
        wanted: how many descriptors are needed; None for as many as possible.

    Returns:
        The soft limit afterwards; `sys.maxsize` if there is none.

    Raises:
        OSError: the system does not allow the change.
        ValueError: the same, found out by Python.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = hard if wanted is None else min(wanted, hard, key=_number)
    if _number(soft) >= _number(target):
        return _number(soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return _number(target)


def _number(limit: int) -> int:
    # RLIM_INFINITY is -1 in Python.
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
