"""Raise the limit of descriptors: each connection needs one."""

from __future__ import annotations

import resource
from typing import Final

# Descriptors for everything except the workers' connections.
SPARE: Final = 64


def make_room(connections: int) -> int:
    """Raise the soft limit of descriptors as far as needed and allowed.

    Returns:
        The number of connections that are possible, at most the requested number.
    """
    needed = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        is_free = hard == resource.RLIM_INFINITY
        soft = needed if is_free else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(0, min(connections, soft - SPARE))
