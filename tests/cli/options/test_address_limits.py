"""The options that say what one peer address may use."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pacemaker.cli.options.address_limits import address_options, parse_limits
from pacemaker.core.accounts.account import DEFAULT_LIMITS, AddressLimits
from pacemaker.core.accounts.addresses import Network


def test_limits_are_read_by_their_names() -> None:
    """Each has a name, counts and rates are numbers, memory has units."""
    texts = [
        "connections=100",
        "connections-per-s=50",
        "stored=1M",
        "buffered=2M",
        "held-reads=3K",
        "new-keys-per-s=0.5",
        "lists-per-s=1e3",
        "guesses-per-s=2",
    ]
    assert parse_limits(texts) == AddressLimits(
        100, 50.0, 2**20, 2 * 2**20, 3 * 2**10, 0.5, 1000.0, 2.0
    )


def test_last_limit_of_a_name_counts() -> None:
    """As with `-c`; without any, all are the defaults."""
    assert parse_limits(["connections=1", "connections=2"]).connections == 2
    assert parse_limits([]) == DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("conections=1", "'conections=1' is not NAME=VALUE; NAME must be one of conn"),
        ("connections", "'connections' is not NAME=VALUE"),
        ("connections=0", "connections: '0' is not a whole number above 0"),
        ("connections=1.5", "connections: '1.5' is not a whole number above 0"),
        ("connections=9999999999", "is not a whole number above 0"),
        ("stored=much", "stored: 'much' is not a size above 0"),
        ("lists-per-s=nan", "lists-per-s: 'nan' is not a number from 0.001"),
        ("lists-per-s=0", "lists-per-s: '0' is not a number from 0.001"),
        ("lists-per-s=", "lists-per-s: '' is not a number from 0.001"),
    ],
)
def test_wrong_limit_says_what_is_allowed(text: str, problem: str) -> None:
    """The error names the limit and its value."""
    with pytest.raises(click.BadParameter) as caught:
        parse_limits([text])
    assert problem in caught.value.message


def test_shared_addresses_are_read_and_refused() -> None:
    """An error says what a network looks like."""

    @click.command()
    @address_options
    def command(
        shared_addresses: tuple[Network, ...] | None, address_limits: AddressLimits
    ) -> None:
        assert address_limits == DEFAULT_LIMITS
        click.echo(str(shared_addresses and [*map(str, shared_addresses)]))

    run = CliRunner().invoke
    assert run(command, []).output == "None\n"
    shared = ["--shared-address", "10.0.0.0/8", "--shared-address", "::1"]
    assert run(command, shared).output == "['10.0.0.0/8', '::1/128']\n"
    assert run(command, ["--shared-address", "none"]).output == "()\n"
    refused = run(command, ["--shared-address", "10.0.0.1/8"])
    assert refused.exit_code == 2
    assert "10.0.0.1/8 has host bits set; it must be an address" in refused.output
