"""Tests of pacemaker.texts."""

from __future__ import annotations

import pytest

from pacemaker.texts import counted, host_and_port, split_host_and_port


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 keys"), (1, "1 key"), (2, "2 keys"), (-1, "-1 keys"), (1200, "1,200 keys")],
)
def test_noun_agrees_with_its_number(number: int, text: str) -> None:
    """One is singular; everything else is plural, nothing at all too."""
    assert counted(number, "key", ",") == text


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("pm1.example.com", 6699, "pm1.example.com:6699"),
        ("10.0.0.1", 0, "10.0.0.1:0"),
        ("fe80::1%eth0", 6699, "[fe80::1%eth0]:6699"),
    ],
)
def test_host_and_port_are_joined_and_split(host: str, port: int, text: str) -> None:
    """An IPv6 address is in brackets, so that its last part is not taken for a port."""
    assert host_and_port(host, port) == text
    assert split_host_and_port(text) == (host, port)
