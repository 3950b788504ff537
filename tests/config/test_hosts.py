"""Which texts are valid hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.client.address import parse_server
from pacemaker.config.hosts import is_host, is_server, is_zookeeper_host

HOSTS = (
    "a",
    "zk1",
    "ZK1.example.com",
    "example.com.",
    "zookeeper_1",
    "x--y",
    "10.0.0.1",
    "::1",
    "fe80::1%eth0",
    "zürich.example",
    "a" * 63,
    ".".join(["a" * 60] * 4),
)
NO_HOSTS = (
    "",
    ".",
    "a..b",
    ".a",
    "a b",
    " ",
    "a\tb",
    "zk1:2181",
    "a:b",
    ":",
    "a/b",
    "a,b",
    "[a]",
    "http://a",
    "a" * 64,
    ".".join(["a" * 60] * 5),
    "a@b",
    "\ufffd",
    "[::1",
    "::1]",
    "10.0.0.1:80",
    "x" * 100_000,
    "zu\u0308rich..example",
    "\ud800",
    "a\x00",
)


@pytest.mark.parametrize("text", HOSTS)
def test_name_or_address_is_a_host(text: str) -> None:
    """Names as DNS, hosts files and containers have them, and both kinds of address."""
    assert is_host(text)
    assert is_server(text)
    assert is_zookeeper_host(text)


@pytest.mark.parametrize("text", NO_HOSTS)
def test_anything_else_is_no_host(text: str) -> None:
    """What the resolver cannot be asked for, or holds a port, is no host."""
    assert not is_host(text)


@pytest.mark.parametrize(
    "text", ["a:1", "a:65535", "10.0.0.1:80", "[::1]", "[::1]:6700", "::1", "a."]
)
def test_server_may_have_a_port(text: str) -> None:
    """A server is a host, or a host and a port."""
    assert is_server(text)


@pytest.mark.parametrize(
    "text",
    ["a:0", "a:65536", "a:", ":1", "a:b", "a:1:2", "[a]:1", "[::1]x", "[]:1", "a..b:1"],
)
def test_server_is_nothing_else(text: str) -> None:
    """A port out of range, or an empty one, makes no server."""
    assert not is_server(text)


@given(st.text(st.sampled_from("a0.:[]-_ %/,"), max_size=12))
def test_client_takes_every_server_that_the_check_lets_pass(text: str) -> None:
    """What passes when the configuration is read does not fail when it is used."""
    if is_server(text.strip()):
        assert parse_server(text, 6699)


@pytest.mark.parametrize(
    "text", ["a", "::1", "[::2]", "a,b", "a:2182,b", "[::1]:1,::2"]
)
def test_zookeeper_host_has_no_port_at_its_end(text: str) -> None:
    """Storm adds the port; the hosts before a comma may have their own."""
    assert is_zookeeper_host(text)


@pytest.mark.parametrize(
    "text", ["a:2181", "[::1]:2181", "a,b:2181", "a,", ",a", "a/c"]
)
def test_zookeeper_host_is_nothing_else(text: str) -> None:
    """An item to which Storm cannot add the port is no host of ZooKeeper."""
    assert not is_zookeeper_host(text)
