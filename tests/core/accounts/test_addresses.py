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


def test_shared_network_of_mapped_addresses_is_one_of_ipv4() -> None:
    """A peer that is mapped into IPv6 counts as its IPv4 address."""
    values = ["::ffff:10.1.2.3", "::ffff:10.9.0.0/112", "::/0"]
    assert list(map(str, parse_shared_networks(values))) == [
        "10.1.2.3/32",
        "10.9.0.0/16",
        "::/0",
    ]


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
