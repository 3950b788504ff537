"""Gather the facts: read the files, resolve names, ask Pacemakers and ZooKeeper."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pacemaker.client import PacemakerPool
from pacemaker.client.address import parse_server
from pacemaker.config import Settings
from pacemaker.config.files import (
    ConfigFile,
    find_conf_folder,
    read_named_file,
    read_storm_yaml,
)
from pacemaker.config.layers import Layer, merge
from pacemaker.config.settings import AuthMethod
from pacemaker.doctor.facts import ClusterFacts, ServerFacts
from pacemaker.doctor.host_facts import host_facts
from pacemaker.doctor.storm_yaml import StormYaml
from pacemaker.errors import ConfigError, PacemakerError
from pacemaker.observe.observer import Observer
from pacemaker.sasl.login import (
    java_properties,
    read_digest_login,
    read_kerberos_server_login,
)

# How long to wait for a second heartbeat of every worker: with one alone, a wrong clock
# cannot be told from an old heartbeat.
BETWEEN_READS_S: Final = 4.0


def gather(
    names: Sequence[str],
    environ: Mapping[str, str],
    timeout_s: float,
    *,
    overrides: Sequence[Layer] = (),
    pause: Callable[[float], None] = time.sleep,
) -> ClusterFacts:
    """Gather everything that can be known from this host.

    Args:
        names: storm.yaml files of the cluster's hosts; empty for that of this host.
        environ: the environment, which says where this host's file is.
        timeout_s: how long each request may take.
        overrides: values of -c; they override those of the first file.
        pause: waits for a number of seconds.
    """
    different = dict.fromkeys(names)
    files = tuple(
        _file(name, () if number else overrides)
        for number, name in enumerate(different)
    ) or (_own_file(environ, overrides),)
    settings = files[0].settings
    if settings is None:
        return ClusterFacts(files)
    return _cluster_facts(files, settings, timeout_s, pause)


def _own_file(environ: Mapping[str, str], overrides: Sequence[Layer]) -> StormYaml:
    try:
        folder = find_conf_folder(environ).path
        read = None if folder is None else read_storm_yaml(folder)
    except ConfigError as exc:
        return _refused("storm.yaml", {}, exc)
    if read is None and not overrides:
        return StormYaml("storm.yaml", {}, is_missing=True)
    return _checked(read, "storm.yaml", overrides)


def _file(name: str, overrides: Sequence[Layer]) -> StormYaml:
    path = Path(name).absolute()
    try:
        read = read_named_file(str(path), None)
    except ConfigError as exc:
        if not path.exists():
            return StormYaml(name, {}, "there is no such file")
        return _refused(str(path), {}, exc)
    return _checked(read, name, overrides)


def _checked(
    read: ConfigFile | None, name: str, overrides: Sequence[Layer]
) -> StormYaml:
    layers = [*([] if read is None else [read.layer]), *overrides]
    values = {key: value for layer in layers for key, value in layer.values.items()}
    source = name if read is None else str(read.path)
    try:
        merged = merge(layers)
    except ConfigError as exc:
        return _refused(source, values, exc)
    notes = [*(() if read is None else read.notes), *merged.notes]
    warnings = tuple(note.text for note in notes if note.is_warning)
    return StormYaml(source, values, None, warnings, merged.settings)


def _refused(source: str, values: Mapping[str, Any], error: ConfigError) -> StormYaml:
    """Return a file that the daemon does not start with."""
    # The error may name a place in the file, as in "FILE, line 3, column 1".
    place = (error.source or "").removeprefix(source).removeprefix(", ")
    problem = f"{place}: {error.problem}" if place else error.problem
    return StormYaml(
        source, values, problem, error_key=error.key, error_value=error.value
    )


def _cluster_facts(
    files: tuple[StormYaml, ...],
    settings: Settings,
    timeout_s: float,
    pause: Callable[[float], None],
) -> ClusterFacts:
    sasl_problem, sasl_notes, principal = _sasl(settings)
    servers = tuple(_resolved(name, settings.port) for name in settings.servers)
    host = host_facts(settings.port)
    facts = ClusterFacts(
        files,
        servers,
        host,
        sasl_problem=sasl_problem,
        sasl_notes=sasl_notes,
        principal=principal,
    )
    if not settings.servers:
        return facts
    try:
        pinged = _pinged(settings, servers, timeout_s)
        return _observed(facts, settings, pinged, timeout_s, pause)
    except ConfigError as exc:
        # The client cannot be used with these credentials.
        problem = sasl_problem or str(exc)
        return dataclasses.replace(
            facts, servers=_without_pings(servers), sasl_problem=problem
        )


def _without_pings(servers: tuple[ServerFacts, ...]) -> tuple[ServerFacts, ...]:
    return tuple(dataclasses.replace(each, is_tried=False) for each in servers)


def _sasl(settings: Settings) -> tuple[str | None, tuple[str, ...], str | None]:
    properties = java_properties(settings.java_properties)
    try:
        if settings.auth_method is AuthMethod.DIGEST:
            login = read_digest_login(settings.jaas_file, properties)
            return None, login.notes, None
        if settings.auth_method is AuthMethod.KERBEROS:
            server = read_kerberos_server_login(settings.jaas_file, properties)
            return None, (), server.principal
    except ConfigError as exc:
        return str(exc), (), None
    return None, (), None


def _resolved(name: str, port: int) -> ServerFacts:
    try:
        host = parse_server(name, port).host
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return ServerFacts(name, is_tried=False)
    return ServerFacts(name, tuple(sorted({str(each[4][0]) for each in found})))


def _pinged(
    settings: Settings, servers: tuple[ServerFacts, ...], timeout_s: float
) -> tuple[ServerFacts, ...]:
    with PacemakerPool(settings, timeout_s=timeout_s) as pool:
        problems = {
            health.server: None if health.error is None else health.error.reason
            for health in pool.ping()
        }
    return tuple(
        ServerFacts(
            each.name,
            each.addresses,
            problems.get(str(parse_server(each.name, settings.port))),
        )
        if each.addresses
        else each
        for each in servers
    )


def _observed(
    facts: ClusterFacts,
    settings: Settings,
    servers: tuple[ServerFacts, ...],
    timeout_s: float,
    pause: Callable[[float], None],
) -> ClusterFacts:
    view = None
    with Observer(settings, timeout_s) as observer:
        try:
            observer.read_once()
            pause(BETWEEN_READS_S)
            observer.read_once()
        except PacemakerError:
            pass  # the findings about the servers say why
        else:
            view = observer.view()
        nodes, problem = observer.nodes()
    is_read = view is not None and view.listed_s is not None
    return dataclasses.replace(
        facts,
        servers=servers,
        view=view if is_read else None,
        nodes=nodes,
        zookeeper_problem=problem,
    )
