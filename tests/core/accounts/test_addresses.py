"""What counts as one address, and networks as administrators write them."""

from __future__ import annotations

import pytest

from pacemaker.core.accounts.addresses import address_name, parse_shared_networks


def test_shared_networks_are_read_as_administrators_write_them() -> None:
    """A network, an address, or none at all."""
    assert list(map(str, parse_shared_networks(["10.0.0.0/8", "::1"]))) == [
        "10.0.0.0/8",
        "::1/128",
    ]
    assert parse_shared_networks(["none"]) == ()


@pytest.mark.parametrize("value", ["10.0.0.1/8", "localhost", "none"])
def test_what_is_no_network_is_refused(value: str) -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match=value):
        parse_shared_networks(["10.0.0.0/8", value])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("[::ffff:192.0.2.7]", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:3::1]", "2001:db8:1:3::/64"),
        ("[fe80::1%eth0]", "fe80::/64"),
        ("[::1]", "::/64"),
        ("late", "late"),
        ("", ""),
    ],
)
def test_address_is_what_one_customer_has(host: str, address: str) -> None:
    """An IPv4 address counts for itself, mapped or not; an IPv6 address by its /64."""
    assert address_name(host) == address
