"""What the scenarios with two Pacemakers share: their hosts, and their tries."""

from __future__ import annotations

import os

import pytest

from tests.cluster.conftest import HostMaker
from tests.cluster.hosts import Host, Namespace, namespaces_work
from tests.cluster.pacemakers import Kind


@pytest.fixture(autouse=True, params=range(int(os.environ.get("TRIES") or 1)))
def number(request: pytest.FixtureRequest) -> int:
    """Say which of several tries it is: the table tells of all."""
    return int(request.param)


@pytest.fixture(scope="module")
def make_hosts(kind: Kind) -> HostMaker:
    """Run each Pacemaker on a host of its own, or on an address if there are none.

    The JVM's Pacemaker binds every address, so two of them need two hosts.
    """
    if namespaces_work():
        return lambda: [Namespace(), Namespace()]
    if kind is Kind.JVM:
        pytest.skip("two of the JVM's Pacemakers need network namespaces")
    return lambda: [Host("127.0.0.1"), Host("127.0.0.2")]
