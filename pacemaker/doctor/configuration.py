"""Judge storm.yaml: the state store, servers, timeouts, authentication; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pacemaker.doctor.facts import Facts, Finding, StormYaml

STORE: Final = "storm.cluster.state.store"
SERVERS: Final = "pacemaker.servers"
STORE_1X: Final = "org.apache.storm.pacemaker.pacemaker_state_factory"
STORE_2X: Final = "org.apache.storm.cluster.PaceMakerStateStorageFactory"

# Every host must have the same value of these.
_SAME: Final = (
    (STORE, "their heartbeats go to different places, and Nimbus sees only some"),
    (SERVERS, "workers write where Nimbus does not read"),
    ("pacemaker.port", "workers write where Nimbus does not read"),
    ("pacemaker.auth.method", "the ones that differ cannot read"),
    ("pacemaker.thrift.message.size.max", "a heartbeat that fits one does not fit all"),
    ("storm.zookeeper.servers", "the hosts belong to different clusters"),
    ("storm.zookeeper.port", "the hosts belong to different clusters"),
    ("storm.zookeeper.root", "the hosts belong to different clusters"),
)

LOCAL: Final = ("localhost", "127.0.0.1", "::1", "[::1]")


def check(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with the files."""
    for file in facts.files:
        yield from _of_file(facts, file)
    yield from _differences(facts)
    yield from _authentication(facts)


def _of_file(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    if file.is_missing:
        yield Finding(
            "missing",
            True,
            "storm.yaml",
            file.source,
            "no storm.yaml was found",
            "the defaults apply, and Storm does not use Pacemaker with them",
            "name the file, or set STORM_CONF_DIR to its folder",
        )
        return
    if file.error is not None:
        yield Finding(
            "invalid",
            True,
            "storm.yaml",
            file.source,
            file.error,
            "the daemon does not start with it",
            "correct the file; `storm-pacemaker-py config --check` reads it again",
        )
        return
    for warning in file.warnings:
        yield Finding(
            "suspicious",
            False,
            "storm.yaml",
            file.source,
            warning,
            "the key may have no effect",
            "correct its name, or remove it",
        )
    yield from _store(facts, file)
    yield from _servers(facts, file)
    yield from _timeouts(file)


def _store(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    store = file.get(STORE)
    if store not in (STORE_1X, STORE_2X):
        yield Finding(
            "store",
            True,
            STORE,
            file.source,
            _shown(store),
            "Storm does not use Pacemaker with this class, or does not start at all",
            f"set it to {STORE_2X} for Storm 2.x, to {STORE_1X} for 1.x, on every host",
        )
        return
    is_1x = store == STORE_1X
    wrong = sorted(v for v in facts.versions if v.startswith("1.") != is_1x)
    if wrong:
        yield Finding(
            "store_release",
            True,
            STORE,
            file.source,
            _shown(store),
            f"the class does not exist in Storm {', '.join(wrong)}, which runs here:"
            " its daemons do not start with it",
            f"set it to {STORE_2X if is_1x else STORE_1X}",
        )


def _servers(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    is_2x = file.get(STORE) == STORE_2X
    if not file.values.get(SERVERS) and (
        is_2x or not file.values.get("pacemaker.host")
    ):
        has_host = bool(file.values.get("pacemaker.host"))
        yield Finding(
            "no_servers",
            True,
            SERVERS,
            file.source,
            _shown(file.get(SERVERS)),
            "Storm 2.x does not read pacemaker.host, so no worker finds a Pacemaker"
            if has_host
            else "no worker finds a Pacemaker",
            "name the hosts of the Pacemakers: a list of names without ports",
        )
        return
    local = [each for each in file.servers if each in LOCAL]
    hosts = 0 if facts.nodes is None else len(facts.nodes.supervisors)
    if local and not facts.host.relay and (hosts > 1 or len(facts.files) > 1):
        yield Finding(
            "localhost",
            True,
            SERVERS,
            file.source,
            _shown(file.servers),
            "every host asks itself, so Nimbus does not see the workers of other hosts",
            "name the Pacemaker's host, or run a relay on every host",
        )
    with_port = [e for e in file.servers if e.count(":") == 1]
    if with_port:
        yield Finding(
            "server_port",
            True,
            SERVERS,
            file.source,
            _shown(with_port),
            "Storm takes the whole text for a host name, which does not resolve",
            "write the name alone; the port of all servers is pacemaker.port",
        )


def _timeouts(file: StormYaml) -> Iterator[Finding]:
    for low, high, factor, because in _ORDER:
        small, large = file.number(low), file.number(high)
        if small is None or large is None or small * factor <= large:
            continue
        yield Finding(
            "timeouts",
            True,
            high,
            file.source,
            f"{large:g}, with {low} {small:g}",
            because,
            f"set {high} to at least {factor} times {low}: {small * factor:g}",
        )
    yield from _recovery(file)
    yield from _blacklist(file)


_ORDER: Final = (
    (
        "task.heartbeat.frequency.secs",
        "nimbus.task.timeout.secs",
        3,
        "one lost heartbeat is enough for Nimbus to move a living worker",
    ),
    (
        "nimbus.monitor.freq.secs",
        "nimbus.task.timeout.secs",
        2,
        "Nimbus looks too seldom to see a change in time, and moves living workers",
    ),
    (
        "supervisor.heartbeat.frequency.secs",
        "nimbus.supervisor.timeout.secs",
        3,
        "a supervisor counts as dead between two of its heartbeats",
    ),
    (
        "worker.heartbeat.frequency.secs",
        "supervisor.worker.timeout.secs",
        3,
        "the supervisor kills workers between two of their heartbeats",
    ),
    (
        "supervisor.worker.timeout.secs",
        "nimbus.supervisor.timeout.secs",
        1,
        "Nimbus gives a supervisor up while that still waits for its workers",
    ),
)


def _recovery(file: StormYaml) -> Iterator[Finding]:
    key = "supervisor.worker.heartbeats.max.timeout.secs"
    limit_s = file.number(key)
    if file.get(STORE) != STORE_2X or limit_s is None or limit_s <= 120:
        return
    yield Finding(
        "nimbus_start",
        False,
        key,
        file.source,
        f"{limit_s:g}" + ("" if key in file.values else " (the default)"),
        "with Pacemaker, supervisors report no heartbeats, so a Nimbus that was"
        f" started, or has become leader, assigns nothing for {limit_s:g} s",
        "set it to 60 on the Nimbus hosts",
    )


def _blacklist(file: StormYaml) -> Iterator[Finding]:
    count = file.number("blacklist.scheduler.tolerance.count")
    resume_s = file.number("blacklist.scheduler.resume.time.secs")
    if file.get(STORE) != STORE_2X or count is None or resume_s is None:
        return
    if count >= 3 and resume_s <= 1800:
        return
    yield Finding(
        "blacklist",
        False,
        "blacklist.scheduler.tolerance.count",
        file.source,
        f"{count:g}, with blacklist.scheduler.resume.time.secs {resume_s:g}",
        f"after {count:g} moves of workers, as in an outage of Pacemaker, Nimbus uses"
        f" their supervisor no more for {resume_s:g} s",
        "use Storm's defaults, 3 and 1800, or a larger count",
    )


def _differences(facts: Facts) -> Iterator[Finding]:
    readable = [file for file in facts.files if file.error is None]
    for key, because in _SAME:
        values = {file.source: _comparable(file, key) for file in readable}
        if len(set(values.values())) < 2:
            continue
        first = readable[0]
        other = next(f for f in readable if values[f.source] != values[first.source])
        yield Finding(
            "differs",
            True,
            key,
            f"{first.source}, {other.source}",
            f"{_shown(first.get(key))} and {_shown(other.get(key))}",
            because,
            "give every host the same value",
        )


def _comparable(file: StormYaml, key: str) -> str:
    value = file.get(key)
    if isinstance(value, list):
        # The order is of no importance: clients ask all servers.
        value = sorted(map(str, value))
    return json.dumps(value, default=str, sort_keys=True)


def _authentication(facts: Facts) -> Iterator[Finding]:
    file = facts.files[0]
    method = file.get("pacemaker.auth.method")
    key = "pacemaker.auth.method"
    if method == "DIGEST" and _is_2x(facts, file):
        yield Finding(
            "digest_2x",
            True,
            key,
            file.source,
            "DIGEST",
            "the client of Storm 2.x closes its own connection after a login by DIGEST,"
            " whatever the server does: Nimbus cannot read, and ends itself",
            "use KERBEROS, or NONE within a network of its own",
        )
    if facts.sasl_problem is not None:
        yield Finding(
            "jaas",
            True,
            "java.security.auth.login.config",
            file.source,
            facts.sasl_problem,
            "the daemon does not start, or nobody can read",
            "correct the JAAS file; docs/security.md shows one",
        )
    for note in facts.sasl_notes:
        yield Finding(
            "jaas_note",
            False,
            "java.security.auth.login.config",
            file.source,
            note,
            "Storm's own daemons read the file differently",
            "write the section as the JVM wants it; docs/security.md shows one",
        )
    if method == "KERBEROS":
        yield from _kerberos(facts, file)


def _is_2x(facts: Facts, file: StormYaml) -> bool:
    if facts.versions:
        return any(not version.startswith("1.") for version in facts.versions)
    return bool(file.get(STORE) == STORE_2X)


def _kerberos(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    if not file.get("nimbus.daemon.user"):
        yield Finding(
            "daemon_user",
            True,
            "nimbus.daemon.user",
            file.source,
            "unset",
            "under KERBEROS only this user may read, so nobody may",
            "set it to the first part of the principal of Nimbus",
        )
    principal = facts.principal
    if principal is not None and "/" not in principal.partition("@")[0]:
        yield Finding(
            "principal",
            True,
            "PacemakerServer, principal",
            file.source,
            principal,
            "clients ask for a ticket of SERVICE/HOST, as they write the host in"
            " pacemaker.servers; they get none for this principal",
            "use pacemaker/HOST@REALM",
        )


def _shown(value: Any) -> str:
    return "unset" if value is None else json.dumps(value, default=str)
