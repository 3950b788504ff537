"""Check single values: each check takes a value as read and returns it typed.

A check raises `WrongValueError`, whose text says what is allowed; the caller adds the
key and the file.  Checks are as strict as Storm, which casts a number to ``int`` and so
fails on a float or a string of digits.
"""

from __future__ import annotations

import reprlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pacemaker.config.hosts import is_server, is_zookeeper_host
from pacemaker.config.settings import LOG_LEVELS, AuthMethod
from pacemaker.config.yaml_reader import Timestamp

INT_MAX: Final = 2**31 - 1
PORT_MAX: Final = 65535

PROPERTY_OPTION: Final = "-D"
# Replaces a byte that is not UTF-8; no valid value contains it.
REPLACEMENT: Final = "\ufffd"

JAAS_OPTION: Final = "-Djava.security.auth.login.config="

_MAX_SHOWN_CHARACTERS: Final = 80


class WrongValueError(Exception):
    """A value is not allowed for its key; the text says what is allowed."""


class ShownValue:
    """A value as shown in an error: in YAML's words, with bounded length."""

    def __init__(self, value: object) -> None:
        self._text = _shown(value)

    def __repr__(self) -> str:
        return self._text


class HiddenValue:
    """A placeholder for a secret value."""

    def __repr__(self) -> str:
        return "(not shown)"


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Timestamp):
        return value.text
    # reprlib bounds aliased and recursive lists, but not long integers; those are
    # cut here.
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = _MAX_SHOWN_CHARACTERS
    text = brief.repr(value)
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[: _MAX_SHOWN_CHARACTERS - 3] + "..."
    return text


def log_level(value: object) -> str:
    """Check the name of a log level; upper and lower case are the same."""
    if not isinstance(value, str) or value.lower() not in LOG_LEVELS:
        raise WrongValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return value.lower()


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
    """Check for the name of an authentication method, in capitals as in Storm."""
    try:
        return AuthMethod(value)
    except ValueError as exc:
        raise WrongValueError("must be NONE, DIGEST or KERBEROS") from exc


def string(value: object) -> str:
    """Check for a string."""
    if not isinstance(value, str):
        raise WrongValueError("must be a string")
    if REPLACEMENT in value:
        raise WrongValueError("must be valid UTF-8")
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
            "must be HOST or HOST:PORT, with an IPv6 address in brackets"
        )
    return text


def servers(value: object) -> tuple[str, ...]:
    """Check for a list of servers; it may be empty."""
    for text in (items := strings(value)):
        if not is_server(text.strip()):
            raise WrongValueError(
                f"must be a list of HOST or HOST:PORT, such as [host1, host2:6700]; "
                f"{ShownValue(text)!r} is neither"
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
                f"must be a list of hosts without ports, such as [host1, host2];"
                f" {ShownValue(text)!r} is not one (storm.zookeeper.port sets their"
                f" port)"
            )
    return items


def path(value: object) -> Path | None:
    """Check for the name of a file; as in Storm, an empty name means no file."""
    name = string(value)
    if "\0" in name:
        raise WrongValueError("must be the name of a file")
    return Path(name) if name else None


def jaas_option(value: object) -> str | None:
    """Return the JAAS file that the JVM's options name; the last option wins.

    Args:
        value: pacemaker.childopts, a string or a list of strings.

    Returns:
        None if no option names one.

    """
    named = [option for option in jvm_options(value) if option.startswith(JAAS_OPTION)]
    return named[-1].removeprefix(JAAS_OPTION) if named else None


def java_properties(value: object) -> tuple[tuple[str, str], ...]:
    """Return the system properties that the JVM's options set.

    Args:
        value: pacemaker.childopts, a string or a list of strings.

    Returns:
        Names and values in their order; for equal names the JVM uses the last.

    """
    # `-Dname` alone sets an empty value.
    pairs = (
        option.removeprefix(PROPERTY_OPTION).partition("=")
        for option in jvm_options(value)
        if option.startswith(PROPERTY_OPTION)
    )
    return tuple((name, text) for name, _, text in pairs)


def jvm_options(value: object) -> list[str]:
    """Return the JVM's options, split as by a shell.

    Args:
        value: pacemaker.childopts, a string or a list of strings.
    """
    if isinstance(value, list):
        value = " ".join(strings(value))
    if not isinstance(value, str):
        raise WrongValueError("must be a string or a list of strings")
    try:
        return shlex.split(value)
    except ValueError as exc:
        raise WrongValueError("must close each quote, as in a shell") from exc
