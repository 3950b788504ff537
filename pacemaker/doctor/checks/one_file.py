"""Check one storm.yaml: its values, the state store, the names of the servers; pure.

Each rule is one function; `_RULES` has all of them, in the order of their findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pacemaker.config import storm_defaults
from pacemaker.doctor.checks import timeouts
from pacemaker.doctor.facts import ClusterFacts, Finding
from pacemaker.doctor.storm_yaml import (
    MAX_VALUE_CHARACTERS,
    SERVERS,
    STORE,
    STORE_1X,
    STORE_2X,
    StormYaml,
    shown,
)
from pacemaker.texts import clipped

LOCAL: Final = ("localhost", "127.0.0.1", "::1", "[::1]")

# Storm reads numbers as Java's int.
_INT_MAX: Final = 2**31 - 1


def check(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    """Yield what is wrong with a storm.yaml."""
    if file.is_missing:
        yield _missing(file)
    elif file.error is not None:
        yield _invalid(file, file.error)
    else:
        for rule in _RULES:
            yield from rule(facts, file)
        yield from timeouts.check(file)


# Whether the file can be read, and has only what the daemon reads.


def _missing(file: StormYaml) -> Finding:
    return Finding(
        check="missing",
        is_failure=True,
        key="storm.yaml",
        file=file.source,
        value="no storm.yaml was found",
        because="Storm's defaults apply, and with them Storm does not use Pacemaker",
        remedy="name the file, or set STORM_CONF_DIR to its folder",
    )


def _invalid(file: StormYaml, error: str) -> Finding:
    again = "`storm-pacemaker-py config --check` checks it again"
    if file.error_key is None:
        return Finding(
            check="invalid",
            is_failure=True,
            key="storm.yaml",
            file=file.source,
            value=clipped(error, MAX_VALUE_CHARACTERS),
            because="the daemon does not start with this file",
            remedy=f"correct the file, or name another one; {again}",
        )
    return Finding(
        check="invalid",
        is_failure=True,
        key=file.error_key,
        file=file.source,
        value=clipped(repr(file.error_value), MAX_VALUE_CHARACTERS),
        because=f"the daemon does not start: the value {error}",
        remedy=f"correct the value; {again}",
    )


def _suspicious(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    for warning in file.warnings:
        yield Finding(
            check="suspicious",
            is_failure=False,
            key="storm.yaml",
            file=file.source,
            value=clipped(warning, MAX_VALUE_CHARACTERS),
            because="the setting may have no effect",
            remedy="correct it, or remove it",
        )


def _numbers(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    """Check the numbers that Storm alone reads: the daemon starts with any value."""
    for key, default in storm_defaults.BY_KEY.items():
        if not isinstance(default, int) or key not in file.values:
            continue
        number = file.number(key)
        if number is not None and 0 < number <= _INT_MAX and number.is_integer():
            continue
        value = file.values[key]
        yield Finding(
            check="number",
            is_failure=True,
            key=key,
            file=file.source,
            value="null" if value is None else shown(value),
            because="Storm's daemons need a whole number above 0 here, and do not"
            " start",
            remedy=f"write a number without quotes; Storm's default is {default}",
        )


# The class of the state store.


def _store(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    store = file.get(STORE)
    if store not in (STORE_1X, STORE_2X):
        yield Finding(
            check="store",
            is_failure=True,
            key=STORE,
            file=file.source,
            value=shown(store),
            because="Storm does not use Pacemaker without this setting"
            if store is None
            else "with this class Storm does not use Pacemaker, or does not start",
            remedy=f"set it to {STORE_2X} for Storm 2.x, to {STORE_1X} for 1.x, on"
            " every host",
        )


def _store_release(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    store = file.get(STORE)
    is_1x = store == STORE_1X
    wrong = sorted(v for v in facts.versions if v.startswith("1.") != is_1x)
    if wrong and store in (STORE_1X, STORE_2X):
        yield Finding(
            check="store_release",
            is_failure=True,
            key=STORE,
            file=file.source,
            value=shown(store),
            because=f"this class does not exist in Storm {', '.join(wrong)}, which runs"
            " here: its daemons do not start",
            remedy=f"set it to {STORE_2X if is_1x else STORE_1X}",
        )


# The names of the Pacemakers.


def _no_servers(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    if not _names_servers(file):
        yield Finding(
            check="no_servers",
            is_failure=True,
            key=SERVERS,
            file=file.source,
            value=shown(file.get(SERVERS)),
            because="Storm 2.x does not read pacemaker.host, so no worker finds a"
            " Pacemaker"
            if file.values.get("pacemaker.host")
            else "no worker finds a Pacemaker",
            remedy="name the hosts of the Pacemakers: a list of names without ports",
        )


def _localhost(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    local = [each for each in file.servers if each in LOCAL]
    hosts = 0 if facts.nodes is None else len(facts.nodes.supervisors)
    has_others = hosts > 1 or len(facts.files) > 1
    if local and has_others and not facts.host.relay and _names_servers(file):
        yield Finding(
            check="localhost",
            is_failure=True,
            key=SERVERS,
            file=file.source,
            value=shown(file.servers),
            because="every host connects to itself, so Nimbus does not see the workers"
            " of other hosts",
            remedy="name the Pacemaker's host, or run a relay on every host",
        )


def _server_port(facts: ClusterFacts, file: StormYaml) -> Iterator[Finding]:
    with_port = [each for each in file.servers if each.count(":") == 1]
    if with_port and _names_servers(file):
        yield Finding(
            check="server_port",
            is_failure=True,
            key=SERVERS,
            file=file.source,
            value=shown(with_port),
            because="Storm takes HOST:PORT for a host name, which does not resolve",
            remedy="write only the host; pacemaker.port is the port of all servers",
        )


def _names_servers(file: StormYaml) -> bool:
    """Return whether Storm finds a server in the file; 1.x reads pacemaker.host too."""
    if file.values.get(SERVERS):
        return True
    is_2x = file.get(STORE) == STORE_2X
    return not is_2x and bool(file.values.get("pacemaker.host"))


_RULES: Final[tuple[Callable[[ClusterFacts, StormYaml], Iterator[Finding]], ...]] = (
    _suspicious,
    _numbers,
    _store,
    _store_release,
    _no_servers,
    _localhost,
    _server_port,
)
