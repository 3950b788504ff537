"""Tests of pacemaker.cluster_state.zookeeper_client."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pacemaker.cluster_state.zookeeper_client import credentials, kazoo_client
from pacemaker.config.settings import Settings
from pacemaker.errors import ConfigError


@pytest.mark.parametrize(
    ("servers", "hosts"),
    [
        (("a", "b"), [("a", 2181), ("b", 2181)]),
        (("::1", "[::2]"), [("::1", 2181), ("::2", 2181)]),
        (("a,b", "c:1,d"), [("a", 2181), ("b", 2181), ("c", 1), ("d", 2181)]),
    ],
)
def test_servers_share_one_port(
    servers: tuple[str, ...], hosts: list[tuple[str, int]]
) -> None:
    """All servers have storm.zookeeper.port; addresses of IPv6 may be bare."""
    settings = Settings(zookeeper_servers=servers)
    client: Any = kazoo_client(settings)
    assert client.hosts == hosts


def test_requests_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, kazoo would log the password with which it authenticates."""
    client: Any = kazoo_client(Settings(zookeeper_servers=("a",)))
    with caplog.at_level(logging.DEBUG):
        assert client._connection.logger is client.logger
        client.logger.debug("Sending request: Auth(auth='user:secret')")
        client.logger.info("Connecting to a:2181")
    assert caplog.messages == ["Connecting to a:2181"]


@pytest.mark.parametrize("servers", [(), ("zk1:2181",), ("a..b",)])
def test_client_of_no_host_is_an_error(servers: tuple[str, ...]) -> None:
    """The error names the key and its value."""
    with pytest.raises(ConfigError, match=r"^storm\.zookeeper\.servers: \[.*: must "):
        kazoo_client(Settings(zookeeper_servers=servers))


@pytest.mark.parametrize(
    ("topology", "cluster", "chosen"),
    [
        ((None, None), (None, None), []),
        ((None, None), ("digest", "c:1"), [("digest", "c:1")]),
        (("digest", "t:1"), ("digest", "c:1"), [("digest", "t:1")]),
        (("digest", None), ("digest", "c:1"), [("digest", "c:1")]),
        ((None, "t:1"), ("digest", None), []),
    ],
)
def test_credentials_need_scheme_and_payload(
    topology: tuple[str | None, str | None],
    cluster: tuple[str | None, str | None],
    chosen: list[tuple[str, str]],
) -> None:
    """The topology's come first, if both halves are set."""
    settings = Settings(
        zookeeper_topology_auth_scheme=topology[0],
        zookeeper_topology_auth_payload=topology[1],
        zookeeper_auth_scheme=cluster[0],
        zookeeper_auth_payload=cluster[1],
    )
    assert credentials(settings) == chosen
