"""What the tests of the client share: a server in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pacemaker.testing import MemoryNetwork, MemoryServer


@pytest.fixture
def network() -> Iterator[MemoryNetwork]:
    """Give a network without servers."""
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def server(network: MemoryNetwork) -> MemoryServer:
    """Give the network's first server."""
    return network.server()
