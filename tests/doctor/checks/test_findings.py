"""Each trap is found, and a healthy cluster has no findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from pacemaker.doctor.checks.findings import findings
from pacemaker.doctor.facts import ClusterFacts, Finding, HostFacts, ServerFacts
from pacemaker.doctor.storm_yaml import STORE_1X, STORE_2X, StormYaml
from pacemaker.observe.views.cluster_view import ClusterView
from pacemaker.observe.views.make_views import make_cluster_view
from tests.observe import made_up
from tests.observe.made_up import NODES, NOW, TOPOLOGY

STORE = "storm.cluster.state.store"
VALUES: dict[str, Any] = {
    STORE: STORE_2X,
    "pacemaker.servers": ["pm1"],
    "supervisor.worker.heartbeats.max.timeout.secs": 60,
}
FIRST = StormYaml("/etc/storm/storm.yaml", VALUES)
SECOND = StormYaml("/worker/storm.yaml", VALUES)


def view() -> ClusterView:
    """Return the view of a cluster that is well."""
    cluster = made_up.running()
    cluster.on_nodes(NODES)
    return make_cluster_view(cluster, NOW)


def sound() -> ClusterFacts:
    """Return a cluster that is well."""
    return ClusterFacts(
        files=(FIRST, SECOND),
        servers=(ServerFacts("pm1", ("10.0.0.1",)),),
        host=HostFacts(65536, 4096, listens=True, keeps_port=True),
        view=view(),
        nodes=NODES,
    )


def with_values(facts: ClusterFacts, **changes: Any) -> ClusterFacts:
    """Return the facts with other values in all files; `__` stands for a dot."""
    values = {**VALUES, **{k.replace("__", "."): v for k, v in changes.items()}}
    files = tuple(dataclasses.replace(f, values=values) for f in facts.files)
    return dataclasses.replace(facts, files=files)


def second(facts: ClusterFacts, **changes: Any) -> ClusterFacts:
    """Return the facts with other values in the second file."""
    other = with_values(facts, **changes).files[1]
    return dataclasses.replace(facts, files=(facts.files[0], other))


def on_host(facts: ClusterFacts, **changes: Any) -> ClusterFacts:
    """Return the facts of another host."""
    return dataclasses.replace(facts, host=dataclasses.replace(facts.host, **changes))


def with_nodes(facts: ClusterFacts, **changes: Any) -> ClusterFacts:
    """Return the facts with other nodes in ZooKeeper."""
    return dataclasses.replace(facts, nodes=dataclasses.replace(NODES, **changes))


def with_worker(facts: ClusterFacts, **changes: Any) -> ClusterFacts:
    """Return the facts with another first worker."""
    shown = view()
    topology = shown.topologies[0]
    first = dataclasses.replace(topology.workers[0], **changes)
    workers = (first, *topology.workers[1:])
    topology = dataclasses.replace(topology, workers=workers)
    return dataclasses.replace(
        facts, view=dataclasses.replace(shown, topologies=(topology,))
    )


def versions(facts: ClusterFacts, *names: str) -> ClusterFacts:
    """Return the facts of a cluster of these releases."""
    supervisors = {
        f"sup-{n}": dataclasses.replace(NODES.supervisors["sup-a"], version=name)
        for n, name in enumerate(names)
    }
    nimbus = dataclasses.replace(NODES.nimbuses[0], version=names[0])
    return with_nodes(facts, supervisors=supervisors, nimbuses=(nimbus,))


def stale(facts: ClusterFacts) -> ClusterFacts:
    """Return the facts with heartbeats of a topology that Storm does not know."""
    cluster = made_up.running()
    cluster.on_nodes(dataclasses.replace(NODES, bases={}, assignments={}))
    return dataclasses.replace(facts, view=make_cluster_view(cluster, NOW))


def replaced(**changes: Any) -> Callable[[ClusterFacts], ClusterFacts]:
    """Return a change of the facts themselves."""
    return lambda facts: dataclasses.replace(facts, **changes)


def invalid(facts: ClusterFacts) -> ClusterFacts:
    """Return the facts with a file that cannot be read."""
    broken = StormYaml("/worker/storm.yaml", {}, "line 3: not YAML")
    return dataclasses.replace(facts, files=(facts.files[0], broken))


def suspicious(facts: ClusterFacts) -> ClusterFacts:
    """Return the facts with a misspelt key."""
    odd = dataclasses.replace(FIRST, warnings=("pacemaker.sevrers has no effect",))
    return dataclasses.replace(facts, files=(odd, SECOND))


SEEDS: dict[str, Callable[[ClusterFacts], ClusterFacts]] = {
    "store": lambda f: with_values(f, storm__cluster__state__store="org.x.Y"),
    "store_release": lambda f: with_values(f, storm__cluster__state__store=STORE_1X),
    "differs": lambda f: second(f, storm__cluster__state__store=STORE_1X),
    "invalid": invalid,
    "suspicious": suspicious,
    "no_servers": lambda f: with_values(
        f, pacemaker__servers=[], pacemaker__host="pm1"
    ),
    "localhost": lambda f: with_values(f, pacemaker__servers=["localhost"]),
    "server_port": lambda f: with_values(f, pacemaker__servers=["pm1:6699"]),
    "unresolved": replaced(servers=(ServerFacts("pm1", is_tried=False),)),
    "dead_server": replaced(servers=(ServerFacts("pm1", ("10.0.0.1",), "refused"),)),
    "timeouts": lambda f: with_values(f, nimbus__task__timeout__secs=5),
    "nimbus_start": lambda f: with_values(
        f, supervisor__worker__heartbeats__max__timeout__secs=600
    ),
    "blacklist": lambda f: with_values(f, blacklist__scheduler__tolerance__count=1),
    "digest_2x": lambda f: with_values(f, pacemaker__auth__method="DIGEST"),
    "jaas": replaced(sasl_problem="no section PacemakerDigest"),
    "jaas_note": replaced(sasl_notes=("the JVM would refuse this section",)),
    "daemon_user": lambda f: with_values(f, pacemaker__auth__method="KERBEROS"),
    "principal": lambda f: dataclasses.replace(
        with_values(f, pacemaker__auth__method="KERBEROS", nimbus__daemon__user="x"),
        principal="pacemaker@EXAMPLE.COM",
    ),
    "large_heartbeat": lambda f: with_worker(f, size_bytes=9_000_000),
    "launch": lambda f: with_worker(f, state="loading", uptime_secs=110),
    "clocks": lambda f: with_worker(f, skew_s=-30.0),
    "descriptors": lambda f: on_host(f, descriptors=64),
    "somaxconn": lambda f: on_host(f, somaxconn=128),
    "port_not_kept": lambda f: on_host(f, keeps_port=False),
    "stale_topologies": stale,
    "leftover_nodes": lambda f: with_nodes(f, leftovers=("words-1-1",)),
    "versions": lambda f: versions(f, "2.8.3", "2.8.2"),
    "zookeeper": replaced(nodes=None, zookeeper_problem="no connection"),
    "no_leader": lambda f: with_nodes(f, nimbuses=()),
}


def checks(facts: ClusterFacts) -> list[str]:
    """Return the words of what was found."""
    return [finding.check for finding in findings(facts)]


def test_nothing_is_wrong_with_a_sound_cluster() -> None:
    """There is no finding at all."""
    assert findings(sound()) == []


@pytest.mark.parametrize("check", SEEDS)
def test_a_trap_is_found(check: str) -> None:
    """It is found, and its finding says all that a reader needs."""
    found = {finding.check: finding for finding in findings(SEEDS[check](sound()))}
    assert check in found
    finding = found[check]
    for field in dataclasses.fields(Finding):
        assert getattr(finding, field.name) not in ("", None), field.name


def test_failures_come_first() -> None:
    """Warnings follow, in the order of the checks."""
    facts = SEEDS["somaxconn"](SEEDS["invalid"](sound()))
    assert [finding.is_failure for finding in findings(facts)] == [True, False]


@pytest.mark.parametrize(
    ("changes", "high"),
    [
        ({"task__heartbeat__frequency__secs": 20}, "nimbus.task.timeout.secs"),
        ({"nimbus__monitor__freq__secs": 20}, "nimbus.task.timeout.secs"),
        (
            {"supervisor__heartbeat__frequency__secs": 30},
            "nimbus.supervisor.timeout.secs",
        ),
        ({"worker__heartbeat__frequency__secs": 11}, "supervisor.worker.timeout.secs"),
        ({"supervisor__worker__timeout__secs": 90}, "nimbus.supervisor.timeout.secs"),
    ],
)
def test_timeouts_that_contradict_each_other_are_named(
    changes: dict[str, Any], high: str
) -> None:
    """Whichever of the two was changed, the one that is too low is named."""
    found = findings(with_values(sound(), **changes))
    assert {finding.key for finding in found if finding.check == "timeouts"} == {high}


@pytest.mark.parametrize(
    "key",
    [
        "pacemaker.servers",
        "pacemaker.port",
        "pacemaker.auth.method",
        "pacemaker.thrift.message.size.max",
        "storm.zookeeper.root",
        "storm.zookeeper.servers",
    ],
)
def test_hosts_that_differ_are_found(key: str) -> None:
    """Both files, and both values, are named."""
    other = {"pacemaker.servers": ["pm2"], "storm.zookeeper.servers": ["zk2"]}
    changes = {key.replace(".", "__"): other.get(key, 7)}
    found = [f for f in findings(second(sound(), **changes)) if f.check == "differs"]
    assert [finding.key for finding in found] == [key]
    assert found[0].file == "/etc/storm/storm.yaml, /worker/storm.yaml"


@pytest.mark.parametrize(
    ("methods", "is_failure"),
    [
        (("DIGEST", "NONE"), False),
        (("NONE", "KERBEROS"), False),
        (("DIGEST", "KERBEROS"), True),
    ],
)
def test_hosts_of_workers_may_have_no_method(
    methods: tuple[str, str], is_failure: bool
) -> None:
    """They only write, which every server allows, so NONE there is only a warning."""
    first, other = methods
    facts = with_values(sound(), pacemaker__auth__method=first)
    facts = second(facts, pacemaker__auth__method=other)
    found = [f for f in findings(facts) if f.check == "differs"]
    assert [finding.is_failure for finding in found] == [is_failure]


def test_the_order_of_servers_is_no_difference() -> None:
    """Clients ask all of them."""
    facts = with_values(sound(), pacemaker__servers=["a", "b"])
    assert checks(second(facts, pacemaker__servers=["b", "a"])) == []


def test_localhost_is_right_behind_a_relay_and_on_a_single_host() -> None:
    """A relay on every host passes requests on; a single host needs no other name."""
    facts = with_values(sound(), pacemaker__servers=["localhost"])
    assert checks(on_host(facts, relay=True)) == []
    single = {"sup-a": NODES.supervisors["sup-a"]}
    alone = with_nodes(
        dataclasses.replace(facts, files=facts.files[:1]), supervisors=single
    )
    assert checks(alone) == []


def test_1x_is_judged_by_its_own_rules() -> None:
    """It has another class, reads pacemaker.host, and can use DIGEST."""
    facts = versions(sound(), "1.2.4")
    values = {
        STORE: STORE_1X,
        "pacemaker.host": "pm1",
        "pacemaker.auth.method": "DIGEST",
    }
    file = StormYaml("/etc/storm/storm.yaml", values)
    assert checks(dataclasses.replace(facts, files=(file,))) == []


def test_what_could_not_be_read_is_not_judged() -> None:
    """With a file that the daemon refuses, that is the only finding."""
    broken = StormYaml("/etc/storm/storm.yaml", {}, "line 3: not YAML")
    assert checks(ClusterFacts((broken,))) == ["invalid"]


def test_missing_file_does_not_keep_the_daemon_from_starting() -> None:
    """So it is not called invalid; Storm without it writes to ZooKeeper."""
    (finding,) = findings(ClusterFacts((StormYaml("storm.yaml", {}, is_missing=True),)))
    assert finding.check == "missing"
    assert "Storm's defaults apply" in finding.because


@pytest.mark.parametrize(
    "key", ["nimbus.task.timeout.secs", "pacemaker.servers", STORE]
)
@pytest.mark.parametrize("value", ["x", ["y"], {"a": 1}, None, True, 1.5])
def test_wrong_types_are_no_crash(key: str, value: object) -> None:
    """Texts and lists where numbers belong are left to the check of the file."""
    facts = with_values(sound(), **{key.replace(".", "__"): value})
    assert all(finding.remedy for finding in findings(facts))


def test_topology_names_are_in_the_findings() -> None:
    """A stale topology is named, so that it can be removed."""
    (finding,) = [f for f in findings(stale(sound())) if f.check == "stale_topologies"]
    assert finding.value == TOPOLOGY


def test_heartbeats_are_not_compared_with_a_limit_of_zero() -> None:
    """It is no limit: another check says that the daemon refuses it."""
    facts = with_values(sound(), pacemaker__thrift__message__size__max=0)
    assert "large_heartbeat" not in {each.check for each in findings(facts)}
