"""Where the endpoint is, and by which names it may be asked for."""

from __future__ import annotations

import pytest

from pacemaker.admin.address import AdminAddress, is_right_host, parse_admin_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6698", AdminAddress("127.0.0.1", 6698)),
        ("pm1.example.com:0", AdminAddress("pm1.example.com", 0)),
        ("[::1]:6698", AdminAddress("::1", 6698)),
        ("unix:/run/pm/admin", AdminAddress(path="/run/pm/admin")),
    ],
)
def test_address_is_read_and_written(text: str, address: AdminAddress) -> None:
    """What is parsed is written the same way."""
    assert parse_admin_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", "ADDRESS:PORT"),
        ("6698", "ADDRESS:PORT"),
        (":6698", "ADDRESS:PORT"),
        ("::1:6698", "ADDRESS:PORT"),
        ("[::1]", "ADDRESS:PORT"),
        ("[10.0.0.1]:6698", "ADDRESS:PORT"),
        ("localhost:http", "a number up to 65535"),
        ("localhost:65536", "a number up to 65535"),
        ("localhost:-1", "a number up to 65535"),
        ("unix:admin", "must begin with /"),
        ("unix:/" + "a" * 107, "at most 107 bytes"),
    ],
)
def test_what_is_no_address_is_refused(text: str, allowed: str) -> None:
    """The error says what is allowed."""
    with pytest.raises(ValueError, match=allowed):
        parse_admin_address(text)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "127.0.0.1:6698",
        "10.1.2.3",
        "[::1]:6698",
        "[fd00::1]",
        "localhost",
        "LOCALHOST:6698",
        "pm1.example.com:6698",
        "pm1.example.com.",
    ],
)
def test_addresses_and_own_names_are_right(header: str | None) -> None:
    """Prometheus and probes ask by address."""
    assert is_right_host(header, {"pm1.example.com"})


@pytest.mark.parametrize(
    "header",
    ["", "evil.example", "evil.example:6698", "127.0.0.1.evil.example", "[x]"],
)
def test_other_names_are_wrong(header: str) -> None:
    """A page of another site that resolves to this address sends its own name."""
    assert not is_right_host(header, {"pm1.example.com"})
