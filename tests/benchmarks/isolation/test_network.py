"""Tests of benchmarks.isolation.network."""

from __future__ import annotations

import ipaddress
import subprocess
import sys

import pytest

from benchmarks.isolation.network import Network, namespace_command, network

CONNECT = """
import socket
from benchmarks.isolation.network import network
network = network()
with socket.create_server((network.server, 0)) as server:
    address = (network.hostile(16)[-1], 0)
    with socket.create_connection(server.getsockname(), 10, address):
        print(server.accept()[1][0], network.is_namespace)
"""


def test_addresses_outside_a_namespace_are_loopbacks() -> None:
    """Nothing has to be set up for them."""
    here = network()
    assert not here.is_namespace
    for address in (here.server, *here.honest(100), *here.hostile(16)):
        assert ipaddress.ip_address(address).is_loopback


def test_nobody_shares_an_address() -> None:
    """Neither honest peers with attackers, nor either with the daemon."""
    there = Network("10.77", is_namespace=True)
    addresses = [there.server, *there.honest(100), *there.hostile(16)]
    assert len(set(addresses)) == 117


@pytest.mark.real
def test_namespace_has_its_addresses() -> None:
    """A connection comes from the one that it was bound to, which is not loopback's."""
    command = namespace_command([sys.executable, "-c", CONNECT])
    if command is None:
        pytest.skip("this machine allows no network namespace")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10.77.2.16", "True"]
