"""Tests of pacemaker.client.address."""

from __future__ import annotations

import pytest

from pacemaker.client.address import ServerAddress, parse_server


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("pm1", "pm1", 6699),
        (" pm1 ", "pm1", 6699),
        ("pm1.example.com:7000", "pm1.example.com", 7000),
        ("10.0.0.1", "10.0.0.1", 6699),
        ("10.0.0.1:65535", "10.0.0.1", 65535),
        ("::1", "::1", 6699),
        ("[::1]", "::1", 6699),
        ("[fe80::1]:1", "fe80::1", 1),
        ("fe80::1%eth0", "fe80::1%eth0", 6699),
        ("pm_1.example.com.", "pm_1.example.com.", 6699),
    ],
)
def test_server_is_read(text: str, host: str, port: int) -> None:
    """A host stands alone, or with a port; an address of IPv6 then has brackets."""
    assert parse_server(text, 6699) == ServerAddress(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":7",
        "a:",
        "a:b",
        "a:-1",
        "a:0",
        "a:65536",
        "a:999999",
        "a:٣",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[]:7",
        "a b",
        "a\tb:7",
        "http://a",
        "http://a:80",
        "a/b",
        "u@a",
        "a\0",
        "1:2:3",
        "[a:b]:7",
        ".",
        "a..b",
        ".a",
        "a" * 64,
        "\udcff",
    ],
)
def test_server_is_refused(text: str) -> None:
    """Anything else is an error that says what is right."""
    with pytest.raises(ValueError, match="must "):
        parse_server(text, 6699)


@pytest.mark.parametrize("text", ["pm1:7000", "[::1]:7000"])
def test_server_is_written_as_it_is_read(text: str) -> None:
    """What an address says of itself can be read again."""
    assert str(parse_server(text, 6699)) == text
