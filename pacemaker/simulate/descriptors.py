"""Raise the limit of descriptors: each connection needs one."""

from __future__ import annotations

from typing import Final

from pacemaker.descriptor_limit import raise_descriptor_limit

# Descriptors for everything except the workers' connections.
SPARE_DESCRIPTORS: Final = 64


def raise_limit_for(connections: int) -> int:
    """Raise the soft limit of descriptors as far as needed and allowed.

    Returns:
        The number of connections that are possible, at most the requested number.
    """
    limit = raise_descriptor_limit(connections + SPARE_DESCRIPTORS)
    return max(0, min(connections, limit - SPARE_DESCRIPTORS))
