"""Check storm.yaml: the state store, servers, timeouts, authentication; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pacemaker.doctor.facts import DEFAULTS, Facts, Finding, StormYaml
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
            "Storm's defaults apply, and with them Storm does not use Pacemaker",
            "name the file, or set STORM_CONF_DIR to its folder",
        )
        return
    if file.error is not None:
        yield _invalid(file, file.error)
        return
    for warning in file.warnings:
        yield Finding(
            "suspicious",
            False,
            "storm.yaml",
            file.source,
            clipped(warning, VALUE_MAX),
            "the setting may have no effect",
            "correct it, or remove it",
        )
    yield from _numbers(file)
    yield from _store(facts, file)
    yield from _servers(facts, file)
    yield from _timeouts(file)


def _invalid(file: StormYaml, error: str) -> Finding:
    again = "`storm-pacemaker-py config --check` checks it again"
    if file.error_key is None:
        return Finding(
            "invalid",
            True,
            "storm.yaml",
            file.source,
            clipped(error, VALUE_MAX),
            "the daemon does not start with this file",
            f"correct the file, or name another one; {again}",
        )
    return Finding(
        "invalid",
        True,
        file.error_key,
        file.source,
        clipped(repr(file.error_value), VALUE_MAX),
        f"the daemon does not start: the value {error}",
        f"correct the value; {again}",
    )


def _numbers(file: StormYaml) -> Iterator[Finding]:
    """Check the numbers that Storm alone reads: the daemon starts with any value."""
    for key, default in DEFAULTS.items():
        if not isinstance(default, int) or key not in file.values:
            continue
        number = file.number(key)
        if number is not None and 0 < number <= _INT_MAX and number.is_integer():
            continue
        value = file.values[key]
        yield Finding(
            "number",
            True,
            key,
            file.source,
            "null" if value is None else _shown(value),
            "Storm's daemons need a whole number above 0 here, and do not start",
            f"write a number without quotes; Storm's default is {default}",
        )


def _store(facts: Facts, file: StormYaml) -> Iterator[Finding]:
    store = file.get(STORE)
    if store not in (STORE_1X, STORE_2X):
        yield Finding(
            "store",
            True,
            STORE,
            file.source,
            _shown(store),
            "Storm does not use Pacemaker without this setting"
            if store is None
            else "with this class Storm does not use Pacemaker, or does not start",
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
            f"this class does not exist in Storm {', '.join(wrong)}, which runs here:"
            " its daemons do not start",
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
            "every host connects to itself, so Nimbus does not see the workers of other"
            " hosts",
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
            "Storm takes HOST:PORT for a host name, which does not resolve",
            "write only the host; pacemaker.port is the port of all servers",
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
            f"{large:g}, while {low} is {small:g}",
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
        "with Pacemaker, supervisors report no heartbeats of workers, so a new leader"
        f" of Nimbus waits {limit_s:g} s for them before it assigns anything",
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
        f"{count:g}, while blacklist.scheduler.resume.time.secs is {resume_s:g}",
        f"after {count:g} moves of its workers, as in an outage of Pacemaker, Nimbus"
        f" does not use a supervisor for {resume_s:g} s",
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
        remedy = "give every host the same value"
        # This is right before Storm 2.3: a worker there would need credentials for any
        # other method, and every server accepts heartbeats without authentication.
        is_right_for_workers = key == AUTH_METHOD and _one_method(readable)
        if is_right_for_workers:
            because = "hosts with NONE can write, but Nimbus cannot read there"
            remedy = "ignore this if the hosts with NONE run only supervisors"
        yield Finding(
            "differs",
            not is_right_for_workers,
            key,
            f"{first.source}, {other.source}",
            f"{_shown(first.get(key))} and {_shown(other.get(key))}",
            because,
            remedy,
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


def _authentication(facts: Facts) -> Iterator[Finding]:
    file = facts.files[0]
    method = file.get(AUTH_METHOD)
    key = AUTH_METHOD
    if method == "DIGEST" and _is_2x(facts, file):
        yield Finding(
            "digest_2x",
            True,
            key,
            file.source,
            "DIGEST",
            "the client of Storm 2.x closes its connection after a DIGEST login, with"
            " any server: Nimbus cannot read, and ends itself",
            "use KERBEROS, or NONE on a separate network",
        )
    if facts.sasl_problem is not None:
        yield Finding(
            "jaas",
            True,
            "java.security.auth.login.config",
            file.source,
            facts.sasl_problem,
            "the daemon does not start, or clients cannot log in",
            "correct the JAAS file; docs/security.md has an example",
        )
    for note in facts.sasl_notes:
        yield Finding(
            "jaas_note",
            False,
            "java.security.auth.login.config",
            file.source,
            note,
            "the JVMs of Storm's daemons read the file differently",
            "write the section as the JVM expects it; docs/security.md has an example",
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
            "with KERBEROS only this user may read heartbeats, so Nimbus cannot",
            "set it to the first part of Nimbus' principal",
        )
    principal = facts.principal
    if principal is not None and "/" not in principal.partition("@")[0]:
        yield Finding(
            "principal",
            True,
            "PacemakerServer, principal",
            file.source,
            principal,
            "clients request a ticket for SERVICE/HOST, with the host from"
            " pacemaker.servers, and get none for this principal",
            "use pacemaker/HOST@REALM",
        )


def _shown(value: Any) -> str:
    return "unset" if value is None else clipped(_text_of(value), VALUE_MAX)


def _text_of(value: Any) -> str:
    """Return a value as JSON, or as Python shows it if JSON cannot hold it."""
    try:
        return json.dumps(value, default=str, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError):  # a date as a key, or a list that contains itself
        return repr(value)
