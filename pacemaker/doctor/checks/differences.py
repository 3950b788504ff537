"""Check what has to be the same in the storm.yaml of every host; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pacemaker.doctor.facts import ClusterFacts, Finding
from pacemaker.doctor.storm_yaml import (
    AUTH_METHOD,
    SERVERS,
    STORE,
    StormYaml,
    shown,
    text_of,
)

# The keys that need the same value on every host, and what happens otherwise.
_MUST_BE_EQUAL: Final = (
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


def check(facts: ClusterFacts) -> Iterator[Finding]:
    """Yield the keys whose values differ between hosts."""
    readable = [file for file in facts.files if file.error is None]
    for key, because in _MUST_BE_EQUAL:
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
            value=f"{shown(first.get(key))} and {shown(other.get(key))}",
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
    return text_of(value)
