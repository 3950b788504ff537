"""Room for a descriptor for each connection."""

from __future__ import annotations

import resource
from typing import Final

SPARE: Final = 64
"""Descriptors for all that is no worker's connection."""


def make_room(connections: int) -> int:
    """Raise the soft limit of descriptors as far as is allowed and of use.

    Returns:
        For how many connections there is room, at most those asked for.
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
