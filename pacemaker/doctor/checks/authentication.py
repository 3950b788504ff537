"""Check authentication, as the first storm.yaml and its JAAS file have it; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pacemaker.doctor.facts import ClusterFacts, Finding
from pacemaker.doctor.storm_yaml import AUTH_METHOD, STORE, STORE_2X, StormYaml


def check(facts: ClusterFacts) -> Iterator[Finding]:
    """Yield what is wrong with the authentication."""
    for rule in _RULES:
        yield from rule(facts)


def _digest_2x(facts: ClusterFacts) -> Iterator[Finding]:
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


def _is_2x(facts: ClusterFacts, file: StormYaml) -> bool:
    if facts.versions:
        return any(not version.startswith("1.") for version in facts.versions)
    return bool(file.get(STORE) == STORE_2X)


def _jaas(facts: ClusterFacts) -> Iterator[Finding]:
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


def _jaas_notes(facts: ClusterFacts) -> Iterator[Finding]:
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


def _daemon_user(facts: ClusterFacts) -> Iterator[Finding]:
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


def _principal(facts: ClusterFacts) -> Iterator[Finding]:
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


_RULES: Final[tuple[Callable[[ClusterFacts], Iterator[Finding]], ...]] = (
    _digest_2x,
    _jaas,
    _jaas_notes,
    _daemon_user,
    _principal,
)
