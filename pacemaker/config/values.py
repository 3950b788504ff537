"""The checks of single values: each takes what was read and returns it typed.

A check raises `WrongValueError` with what is allowed; who calls it knows the key and
the file.  They are as strict as Storm, which casts a number to ``int`` and so
fails on a float or a string of digits.
"""

from __future__ import annotations

import reprlib
import shlex
from collections.abc import Callable
from pathlib import Path

from pacemaker.config.hosts import is_server, is_zookeeper_host
from pacemaker.config.settings import AuthMethod
from pacemaker.config.yaml_reader import Timestamp

INT_MAX = 2**31 - 1
PORT_MAX = 65535

PROPERTY_OPTION = "-D"
REPLACEMENT = "\ufffd"
"""Stands for a byte that is not UTF-8; no value that is read here holds it itself."""

JAAS_OPTION = "-Djava.security.auth.login.config="

_MAX_SHOWN_CHARACTERS = 80


class WrongValueError(Exception):
    """A value that its key may not have; the text says what it may."""


class Shown:
    """A value as an error shows it: in YAML's words and of bounded length."""

    def __init__(self, value: object) -> None:
        self._text = _shown(value)

    def __repr__(self) -> str:
        return self._text


class Hidden:
    """In the place of a secret value."""

    def __repr__(self) -> str:
        return "(not shown)"


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Timestamp):
        return value.text
    # reprlib goes a bounded way into aliased and recursive lists; it leaves a
    # long integer whole, though, which is cut here.
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = _MAX_SHOWN_CHARACTERS
    text = brief.repr(value)
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[: _MAX_SHOWN_CHARACTERS - 3] + "..."
    return text


def integer(low: int, high: int = INT_MAX) -> Callable[[object], int]:
    """Return the check for an integer from `low` to `high`."""
    allowed = f"must be an integer from {low} to {high}"

    def check(value: object) -> int:
        if isinstance(value, str):
            raise WrongValueError(f"{allowed}, without quotes")
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongValueError(allowed)
        if not low <= value <= high:
            raise WrongValueError(allowed)
        return value

    return check


def auth_method(value: object) -> AuthMethod:
    """Check for the name of an authentication method, in capitals as Storm wants."""
    try:
        return AuthMethod(value)
    except ValueError:
        raise WrongValueError("must be NONE, DIGEST or KERBEROS") from None


def string(value: object) -> str:
    """Check for a string."""
    if not isinstance(value, str):
        raise WrongValueError("must be a string")
    if REPLACEMENT in value:
        raise WrongValueError("must be UTF-8 throughout")
    return value


def strings(value: object) -> tuple[str, ...]:
    """Check for a list of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongValueError("must be a list of strings, such as [host1, host2]")
    return tuple(string(item) for item in value)


def server(value: object) -> str:
    """Check for a server of the cluster, with or without a port."""
    text = string(value)
    if not is_server(text.strip()):
        raise WrongValueError(
            "must be HOST or HOST:PORT, an address of IPv6 in brackets"
        )
    return text


def servers(value: object) -> tuple[str, ...]:
    """Check for a list of servers, which may be empty."""
    for text in (items := strings(value)):
        if not is_server(text.strip()):
            raise WrongValueError(
                f"must be a list of HOST or HOST:PORT, such as [host1, host2:6700]; "
                f"{Shown(text)!r} is neither"
            )
    return items


def zookeeper_servers(value: object) -> tuple[str, ...]:
    """Check for the hosts of ZooKeeper, at least one."""
    items = strings(value)
    if not items:
        raise WrongValueError("must name at least one host, such as [host1, host2]")
    for text in items:
        if not is_zookeeper_host(text):
            raise WrongValueError(
                f"must be a list of hosts without ports, such as [host1, host2]; "
                f"{Shown(text)!r} is none (the port of all is storm.zookeeper.port)"
            )
    return items


def path(value: object) -> Path | None:
    """Check for the name of a file; Storm takes an empty one for none."""
    name = string(value)
    if "\0" in name:
        raise WrongValueError("must be the name of a file")
    return Path(name) if name else None


def jaas_option(value: object) -> str | None:
    """Return the JAAS file that the JVM would take from its options, the last one.

    Args:
        value: pacemaker.childopts, a string or a list of strings.

    Returns:
        None where no option names one.

    """
    named = [option for option in _jvm_options(value) if option.startswith(JAAS_OPTION)]
    return named[-1].removeprefix(JAAS_OPTION) if named else None


def java_properties(value: object) -> tuple[tuple[str, str], ...]:
    """Return the system properties that the JVM would take from its options.

    Args:
        value: pacemaker.childopts, a string or a list of strings.

    Returns:
        Names and values in their order; of equal names the JVM takes the last.

    """
    # `-Dname` alone sets an empty value.
    pairs = (
        option.removeprefix(PROPERTY_OPTION).partition("=")
        for option in _jvm_options(value)
        if option.startswith(PROPERTY_OPTION)
    )
    return tuple((name, text) for name, _, text in pairs)


def _jvm_options(value: object) -> list[str]:
    if isinstance(value, list):
        value = " ".join(strings(value))
    if not isinstance(value, str):
        raise WrongValueError("must be a string or a list of strings")
    try:
        return shlex.split(value)
    except ValueError as exc:
        raise WrongValueError("must close each quote, as in a shell") from exc
