"""Check storm.yaml: the state store, servers, timeouts, authentication; pure.

Each rule is one function.  `_FILE_RULES` look at one file, `_RULES` at all files
together, or at the first one and what was found out about its authentication.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pacemaker.config import storm_defaults
from pacemaker.doctor.facts import Facts, Finding, StormYaml
from pacemaker.words import clipped

STORE: Final = "storm.cluster.state.store"
SERVERS: Final = "pacemaker.servers"
AUTH_METHOD: Final = "pacemaker.auth.method"
STORE_1X: Final = "org.apache.storm.pacemaker.pacemaker_state_factory"
STORE_2X: Final = "org.apache.storm.cluster.PaceMakerStateStorageFactory"

# The keys that need the same value on every host, and what happens otherwise.
_SAME: Final = (
    (STORE, "heartbeats go to different places, and Nimbus sees only some of them"),
    (SERVERS, "workers write where Nimbus does not read"),
    ("pacemaker.port", "workers write where Nimbus does not read"),
    (AUTH_METHOD, "hosts with another method cannot read, and may not even write"),
    (
        "pacemaker.thrift.message.size.max",
        "a host with a lower limit refuses heartbeats that others accept",
    ),
    ("storm.zookeeper.servers", "the hosts belong to different clusters"),
    ("storm.zookeeper.port", "the hosts belong to different clusters"),
    ("storm.zookeeper.root", "the hosts belong to different clusters"),
)

LOCAL: Final = ("localhost", "127.0.0.1", "::1", "[::1]")

# Storm reads numbers as Java's int.
_INT_MAX: Final = 2**31 - 1

# The most characters of a value in a finding.
VALUE_MAX: Final = 200

# Two timeouts, the least number of times that the second must be the first, and what
# happens otherwise.
_LEAST_FACTORS: Final = (
    (
        "task.heartbeat.frequency.secs",
        "nimbus.task.timeout.secs",
        3,
        "Nimbus moves a living worker after a single lost heartbeat",
    ),
    (
        "nimbus.monitor.freq.secs",
        "nimbus.task.timeout.secs",
        2,
        "Nimbus looks too rarely to see a heartbeat in time, and moves living workers",
    ),
    (
        "supervisor.heartbeat.frequency.secs",
        "nimbus.supervisor.timeout.secs",
        3,
        "Nimbus takes a supervisor for dead after one or two late heartbeats",
    ),
    (
        "worker.heartbeat.frequency.secs",
        "supervisor.worker.timeout.secs",
        3,
        "the supervisor kills a living worker after one or two late heartbeats",
    ),
    (
        "supervisor.worker.timeout.secs",
        "nimbus.supervisor.timeout.secs",
        1,
        "Nimbus gives up a supervisor that still waits for its workers",
    ),
)


def check(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the files."""
    for file in facts.files:
        yield from _of_file(facts, file)
    for rule in _RULES:
        yield from rule(facts)


def _of_file(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    if file.is_missing:
        yield _missing(file)
    elif file.error is not None:
        yield _invalid(file, file.error)
    else:
        for rule in _FILE_RULES:
            yield from rule(facts, file)


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
            value=clipped(error, VALUE_MAX),
            because="the daemon does not start with this file",
            remedy=f"correct the file, or name another one; {again}",
        )
    return Finding(
        check="invalid",
        is_failure=True,
        key=file.error_key,
        file=file.source,
        value=clipped(repr(file.error_value), VALUE_MAX),
        because=f"the daemon does not start: the value {error}",
        remedy=f"correct the value; {again}",
    )


def _suspicious(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    for warning in file.warnings:
        yield Finding(
            check="suspicious",
            is_failure=False,
            key="storm.yaml",
            file=file.source,
            value=clipped(warning, VALUE_MAX),
            because="the setting may have no effect",
            remedy="correct it, or remove it",
        )


def _numbers(facts: Facts, file: StormYaml) -> Iterator[Finding]:
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
            value="null" if value is None else _shown(value),
            because="Storm's daemons need a whole number above 0 here, and do not"
            " start",
            remedy=f"write a number without quotes; Storm's default is {default}",
        )


# The class of the state store.


def _store(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    store = file.get(STORE)
    if store not in (STORE_1X, STORE_2X):
        yield Finding(
            check="store",
            is_failure=True,
            key=STORE,
            file=file.source,
            value=_shown(store),
            because="Storm does not use Pacemaker without this setting"
            if store is None
            else "with this class Storm does not use Pacemaker, or does not start",
            remedy=f"set it to {STORE_2X} for Storm 2.x, to {STORE_1X} for 1.x, on"
            " every host",
        )


def _store_release(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    store = file.get(STORE)
    is_1x = store == STORE_1X
    wrong = sorted(v for v in facts.versions if v.startswith("1.") != is_1x)
    if wrong and store in (STORE_1X, STORE_2X):
        yield Finding(
            check="store_release",
            is_failure=True,
            key=STORE,
            file=file.source,
            value=_shown(store),
            because=f"this class does not exist in Storm {', '.join(wrong)}, which runs"
            " here: its daemons do not start",
            remedy=f"set it to {STORE_2X if is_1x else STORE_1X}",
        )


# The names of the Pacemakers.


def _no_servers(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    if not _names_servers(file):
        yield Finding(
            check="no_servers",
            is_failure=True,
            key=SERVERS,
            file=file.source,
            value=_shown(file.get(SERVERS)),
            because="Storm 2.x does not read pacemaker.host, so no worker finds a"
            " Pacemaker"
            if file.values.get("pacemaker.host")
            else "no worker finds a Pacemaker",
            remedy="name the hosts of the Pacemakers: a list of names without ports",
        )


def _localhost(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    local = [each for each in file.servers if each in LOCAL]
    hosts = 0 if facts.nodes is None else len(facts.nodes.supervisors)
    has_others = hosts > 1 or len(facts.files) > 1
    if local and has_others and not facts.host.relay and _names_servers(file):
        yield Finding(
            check="localhost",
            is_failure=True,
            key=SERVERS,
            file=file.source,
            value=_shown(file.servers),
            because="every host connects to itself, so Nimbus does not see the workers"
            " of other hosts",
            remedy="name the Pacemaker's host, or run a relay on every host",
        )


def _server_port(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    with_port = [each for each in file.servers if each.count(":") == 1]
    if with_port and _names_servers(file):
        yield Finding(
            check="server_port",
            is_failure=True,
            key=SERVERS,
            file=file.source,
            value=_shown(with_port),
            because="Storm takes HOST:PORT for a host name, which does not resolve",
            remedy="write only the host; pacemaker.port is the port of all servers",
        )


def _names_servers(file: StormYaml) -> bool:
    """Return whether Storm finds a server in the file; 1.x reads pacemaker.host too."""
    if file.values.get(SERVERS):
        return True
    is_2x = file.get(STORE) == STORE_2X
    return not is_2x and bool(file.values.get("pacemaker.host"))


# Timeouts that contradict each other, or the way Pacemaker works.


def _timeouts(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    for low, high, factor, because in _LEAST_FACTORS:
        small, large = file.number(low), file.number(high)
        if small is None or large is None or small * factor <= large:
            continue
        yield Finding(
            check="timeouts",
            is_failure=True,
            key=high,
            file=file.source,
            value=f"{large:g}, while {low} is {small:g}",
            because=because,
            remedy=f"set {high} to at least {factor} times {low}: {small * factor:g}",
        )


def _nimbus_start(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    key = "supervisor.worker.heartbeats.max.timeout.secs"
    limit_s = file.number(key)
    if file.get(STORE) != STORE_2X or limit_s is None or limit_s <= 120:
        return
    yield Finding(
        check="nimbus_start",
        is_failure=False,
        key=key,
        file=file.source,
        value=f"{limit_s:g}" + ("" if key in file.values else " (the default)"),
        because="with Pacemaker, supervisors report no heartbeats of workers, so a new"
        f" leader of Nimbus waits {limit_s:g} s for them before it assigns anything",
        remedy="set it to 60 on the Nimbus hosts",
    )


def _blacklist(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    count = file.number("blacklist.scheduler.tolerance.count")
    resume_s = file.number("blacklist.scheduler.resume.time.secs")
    if file.get(STORE) != STORE_2X or count is None or resume_s is None:
        return
    if (
        count >= storm_defaults.BLACKLIST_TOLERANCE_COUNT
        and resume_s <= storm_defaults.BLACKLIST_RESUME_SECS
    ):
        return
    yield Finding(
        check="blacklist",
        is_failure=False,
        key="blacklist.scheduler.tolerance.count",
        file=file.source,
        value=f"{count:g}, while blacklist.scheduler.resume.time.secs is {resume_s:g}",
        because=f"after {count:g} moves of its workers, as in an outage of Pacemaker,"
        f" Nimbus does not use a supervisor for {resume_s:g} s",
        remedy=f"use Storm's defaults, {storm_defaults.BLACKLIST_TOLERANCE_COUNT} and"
        f" {storm_defaults.BLACKLIST_RESUME_SECS}, or a larger count",
    )


# What has to be the same on every host.


def _differences(facts: Facts) -> Iterator[Finding]:
    readable = [file for file in facts.files if file.error is None]
    for key, because in _SAME:
        values = {file.source: _comparable(file, key) for file in readable}
        if len(set(values.values())) < 2:
            continue
        first = readable[0]
        other = next(f for f in readable if values[f.source] != values[first.source])
        remedy = "give every host the same value"
        # This is right before Storm 2.3: a worker there would need credentials for any
        # other method, and every server accepts heartbeats without authentication.
        is_right_for_workers = key == AUTH_METHOD and _one_method(readable)
        if is_right_for_workers:
            because = "hosts with NONE can write, but Nimbus cannot read there"
            remedy = "ignore this if the hosts with NONE run only supervisors"
        yield Finding(
            check="differs",
            is_failure=not is_right_for_workers,
            key=key,
            file=f"{first.source}, {other.source}",
            value=f"{_shown(first.get(key))} and {_shown(other.get(key))}",
            because=because,
            remedy=remedy,
        )


def _one_method(files: Sequence[StormYaml]) -> bool:
    """Return whether each file names the same method of authentication, or NONE."""
    methods = {file.get(AUTH_METHOD) for file in files} - {"NONE"}
    return len(methods) == 1 and methods <= {"DIGEST", "KERBEROS"}


def _comparable(file: StormYaml, key: str) -> str:
    value = file.get(key)
    if isinstance(value, list):
        # The order does not matter: clients ask all servers.
        value = sorted(map(str, value))
    return _text_of(value)


# Authentication, as the first file has it.


def _digest_2x(facts: Facts) -> Iterator[Finding]:
    file = facts.files[0]
    if file.get(AUTH_METHOD) == "DIGEST" and _is_2x(facts, file):
        yield Finding(
            check="digest_2x",
            is_failure=True,
            key=AUTH_METHOD,
            file=file.source,
            value="DIGEST",
            because="the client of Storm 2.x closes its connection after a DIGEST"
            " login, with any server: Nimbus cannot read, and ends itself",
            remedy="use KERBEROS, or NONE on a separate network",
        )


def _is_2x(facts: Facts, file: StormYaml) -> bool:
    if facts.versions:
        return any(not version.startswith("1.") for version in facts.versions)
    return bool(file.get(STORE) == STORE_2X)


def _jaas(facts: Facts) -> Iterator[Finding]:
    if facts.sasl_problem is not None:
        yield Finding(
            check="jaas",
            is_failure=True,
            key="java.security.auth.login.config",
            file=facts.files[0].source,
            value=facts.sasl_problem,
            because="the daemon does not start, or clients cannot log in",
            remedy="correct the JAAS file; docs/security.md has an example",
        )


def _jaas_notes(facts: Facts) -> Iterator[Finding]:
    for note in facts.sasl_notes:
        yield Finding(
            check="jaas_note",
            is_failure=False,
            key="java.security.auth.login.config",
            file=facts.files[0].source,
            value=note,
            because="the JVMs of Storm's daemons read the file differently",
            remedy="write the section as the JVM expects it; docs/security.md has an"
            " example",
        )


def _daemon_user(facts: Facts) -> Iterator[Finding]:
    file = facts.files[0]
    if _uses_kerberos(file) and not file.get("nimbus.daemon.user"):
        yield Finding(
            check="daemon_user",
            is_failure=True,
            key="nimbus.daemon.user",
            file=file.source,
            value="unset",
            because="with KERBEROS only this user may read heartbeats, so Nimbus"
            " cannot",
            remedy="set it to the first part of Nimbus' principal",
        )


def _principal(facts: Facts) -> Iterator[Finding]:
    file, principal = facts.files[0], facts.principal
    if not _uses_kerberos(file) or principal is None:
        return
    if "/" not in principal.partition("@")[0]:
        yield Finding(
            check="principal",
            is_failure=True,
            key="PacemakerServer, principal",
            file=file.source,
            value=principal,
            because="clients request a ticket for SERVICE/HOST, with the host from"
            " pacemaker.servers, and get none for this principal",
            remedy="use pacemaker/HOST@REALM",
        )


def _uses_kerberos(file: StormYaml) -> bool:
    return bool(file.get(AUTH_METHOD) == "KERBEROS")


_FILE_RULES: Final[tuple[Callable[[Facts, StormYaml], Iterator[Finding]], ...]] = (
    *(_suspicious, _numbers, _store, _store_release),
    *(_no_servers, _localhost, _server_port),
    *(_timeouts, _nimbus_start, _blacklist),
)
_RULES: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    *(_differences, _digest_2x, _jaas, _jaas_notes, _daemon_user, _principal),
)


def _shown(value: Any) -> str:
    return "unset" if value is None else clipped(_text_of(value), VALUE_MAX)


def _text_of(value: Any) -> str:
    """Return a value as JSON, or as Python shows it if JSON cannot hold it."""
    try:
        return json.dumps(value, default=str, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError):  # a date as a key, or a list that contains itself
        return repr(value)
