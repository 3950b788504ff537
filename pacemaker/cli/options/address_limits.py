"""The options that limit what one peer address may use of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pacemaker.cli.options.daemon_options import daemon_option
from pacemaker.cli.options.sizes import parse_size
from pacemaker.core.accounts.account import AddressLimits

if TYPE_CHECKING:
    from pacemaker.core.accounts.addresses import Network

_F = TypeVar("_F", bound=Callable[..., Any])


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise click.BadParameter(f"{text!r} is not a whole number above 0")
    return int(text)


def _parse_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= 1e9:
        raise click.BadParameter(f"{text!r} is not a number from 0.001 to 1000000000")
    return rate


# By name on the command line: the field of `AddressLimits`, and the parser.
_NAMES: Final[dict[str, tuple[str, Callable[[str], float]]]] = {
    "connections": ("connections", _parse_count),
    "connections-per-s": ("connections_per_s", _parse_rate),
    "stored": ("stored_bytes", parse_size),
    "buffered": ("buffered_bytes", parse_size),
    "held-reads": ("held_read_bytes", parse_size),
    "new-keys-per-s": ("new_keys_per_s", _parse_rate),
    "lists-per-s": ("lists_per_s", _parse_rate),
    "guesses-per-s": ("guesses_per_s", _parse_rate),
}


def parse_limits(texts: Sequence[str]) -> AddressLimits:
    """Parse limits of the form ``NAME=VALUE``; the last value of a name counts.

    Raises:
        click.BadParameter: a limit is wrong; the message names it and says what is
            allowed.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, is_given, value = text.partition("=")
        if name not in _NAMES or not is_given:
            raise click.BadParameter(
                f"{text!r} is not NAME=VALUE; NAME must be one of {', '.join(_NAMES)}"
            )
        field, parse = _NAMES[name]
        try:
            values[field] = parse(value)
        except click.BadParameter as exc:
            raise click.BadParameter(f"{name}: {exc.message}") from exc
    return AddressLimits(**values)


def _parse_shared(
    _: click.Context, __: click.Parameter, texts: Sequence[str]
) -> tuple[Network, ...] | None:
    # Only the daemon needs it, and imports it before it serves.
    from pacemaker.core.accounts.addresses import parse_shared_networks

    try:
        return parse_shared_networks(texts) if texts else None
    except ValueError as exc:
        raise click.BadParameter(
            f"{exc}; it must be an address, a network such as 10.0.0.0/8, or `none`"
        ) from exc


def address_options(command: _F, scope: str = "") -> _F:
    """Add the options ``--shared-address`` and ``--address-limit`` to a command."""
    command = daemon_option(
        "--address-limit",
        "address_limits",
        scope=scope,
        multiple=True,
        metavar="NAME=VALUE",
        callback=lambda _, __, texts: parse_limits(texts),
        help="Limit what one peer address may use; repeatable. Names: "
        f"{', '.join(_NAMES)}. By default, once three quarters of a resource are used, "
        "an address gets no more than an equal share of it.",
    )(command)
    return daemon_option(
        "--shared-address",
        "shared_addresses",
        scope=scope,
        multiple=True,
        metavar="CIDR",
        callback=_parse_shared,
        help="A network in which each address stands for many workers, such as that of "
        "a proxy or a relay: each connection counts as an address of its own. "
        "Repeatable; `none` means no network. Default: loopback only.",
    )(command)
