"""`why`: which Pacemakers it asks, what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest

from pacemaker.admin import client
from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import FetchedPage
from pacemaker.cli import why as module
from pacemaker.cli.output import exit_codes
from pacemaker.cluster_state import zookeeper_state
from pacemaker.config import Settings
from pacemaker.core.history.history import History
from pacemaker.core.history.record import ConnectionEnd, PeerRecord
from pacemaker.errors import AdminError
from pacemaker.observe.zookeeper import reading
from pacemaker.observe.zookeeper.storm_nodes import Assignment, ClusterNodes
from pacemaker.server.history_page import write_history
from tests.cli.conftest import Run
from tests.why.cases import moved
from tests.why.test_facts import KEY, TOPOLOGY, VALUE


def history(ahead_s: float = 0.0, is_relay: bool = False) -> str:
    """Return the page of a daemon whose worker was killed, and came back.

    Args:
        ahead_s: how far the daemon's clock is ahead of the right time.
        is_relay: whether the daemon is a relay.
    """
    kept = History(10**6)
    before, nimbus = PeerRecord("10.0.0.1:4000"), PeerRecord("10.0.0.9:1")
    for now_s in (1_000.0, 1_003.0):
        kept.note_pulse(KEY, before, now_s, VALUE)
    before.end = ConnectionEnd.RESET
    kept.note_pulse(KEY, PeerRecord("10.0.0.1:4002"), 1_300.0, VALUE)
    kept.note_read(kept.records[KEY], nimbus, 1_301.0)
    return b"".join(
        write_history(kept, {KEY: VALUE}.get, 1_302.0 + ahead_s, 1_302.0, "", is_relay)
    ).decode()


class Endpoints:
    """Stand in for the endpoints of daemons."""

    def __init__(self) -> None:
        self.answers: dict[str, FetchedPage] = {}
        self.tokens: list[str | None] = []
        self.asked: set[str] = set()

    def ask(
        self, address: AdminAddress, target: str, timeout_s: float, token: str | None
    ) -> FetchedPage:
        """Take the place of `ask`."""
        assert target == "/history"
        self.tokens.append(token)
        self.asked.add(str(address))
        answer = self.answers.get(str(address))
        if answer is None:
            raise AdminError(str(address), "Connection refused")
        return answer


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    """Put stand-ins in the place of the endpoints."""
    endpoints = Endpoints()
    monkeypatch.setattr(client, "fetch_page", endpoints.ask)
    return endpoints


def test_why_asks_the_pacemakers_of_the_configuration(
    run: Run, endpoints: Endpoints
) -> None:
    """At the endpoints' usual port; one that does not answer is named."""
    endpoints.answers["pm1:6698"] = FetchedPage(200, history())
    servers = "pacemaker.servers=[pm1,pm2]"
    result = run("why", "words", "--no-zookeeper", "-c", servers)
    assert result.exit_code == exit_codes.OK
    first = result.stdout.splitlines()[0]
    assert first.startswith(f"7a4e-6700 of {TOPOLOGY}: killed: ")
    assert "pm2:6698 (Connection refused)" in result.stderr


def test_why_asks_the_relays_of_the_hosts(
    run: Run, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of ZooKeeper's assignment of the topology; no other host is asked."""
    assignments = {
        TOPOLOGY: Assignment({"7a4e": "worker1"}, {}, {}),
        "other-1-1700000000": Assignment({"8b5f": "worker2"}, {}, {}),
    }
    known = ClusterNodes(read_s=0.0, assignments=assignments)
    monkeypatch.setattr(module, "_read_nodes", lambda _: known)
    endpoints.answers["worker1:6698"] = FetchedPage(200, history(is_relay=True))
    options = ("-c", "pacemaker.servers=[localhost]")
    relays = ("-c", "pacemaker.relay.servers=[pm1]")
    result = run("why", "words", *options, *relays)
    assert result.exit_code == exit_codes.OK
    assert endpoints.asked == {"pm1:6698", "worker1:6698"}
    assert result.stdout.startswith(f"7a4e-6700 of {TOPOLOGY}: ")
    endpoints.asked.clear()
    run("why", "words", "-c", "pacemaker.servers=[pm1]")
    assert endpoints.asked == {"pm1:6698"}


@pytest.mark.parametrize("worker", ["6700", "7a4e-6700"])
def test_why_asks_the_endpoints_that_are_named(
    run: Run, endpoints: Endpoints, worker: str
) -> None:
    """With the verdict for programs, too."""
    endpoints.answers["unix:/run/pm"] = FetchedPage(200, history())
    arguments = ("why", TOPOLOGY, worker, "--no-zookeeper", "--json")
    result = run(*arguments, "--admin", "unix:/run/pm")
    assert result.exit_code == exit_codes.OK
    (shown,) = json.loads(result.stdout)
    assert (shown["worker"], shown["verdict"]) == ("7a4e-6700", "killed")


@pytest.mark.parametrize(
    "arguments", [("other",), ("words", "6701"), ("words", "host:6700")]
)
def test_what_nobody_remembers_is_a_no(
    run: Run, endpoints: Endpoints, arguments: tuple[str, ...]
) -> None:
    """It says what they remember."""
    endpoints.answers["unix:/run/pm"] = FetchedPage(200, history())
    result = run("why", *arguments, "--no-zookeeper", "--admin", "unix:/run/pm")
    assert result.exit_code == exit_codes.NO
    assert f"remembers these topologies: {TOPOLOGY}" in result.stderr


def test_no_answer_is_an_error(run: Run, endpoints: Endpoints) -> None:
    """It names the endpoint and what to look at."""
    result = run("why", "words", "--no-zookeeper", "--admin", "127.0.0.1:6698")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert "is the daemon running with --admin?" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [FetchedPage(401, "this page needs the token\n"), FetchedPage(200, "hello")],
)
def test_answer_that_is_no_history_is_an_error(
    run: Run, endpoints: Endpoints, answer: FetchedPage
) -> None:
    """It says what the endpoint said."""
    endpoints.answers["127.0.0.1:6698"] = answer
    result = run("why", "words", "--no-zookeeper", "--admin", "127.0.0.1:6698")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert "127.0.0.1:6698" in result.stderr


def test_wrong_clock_of_a_pacemaker_is_noted(run: Run, endpoints: Endpoints) -> None:
    """By how much it is wrong, and which clock counts."""
    endpoints.answers["pm1:6698"] = FetchedPage(200, history())
    endpoints.answers["pm2:6698"] = FetchedPage(200, history(ahead_s=-3_600.0))
    servers = "pacemaker.servers=[pm1,pm2]"
    result = run("why", "words", "--no-zookeeper", "-c", servers)
    assert result.exit_code == exit_codes.OK
    note = "the clock of pm2:6698 is 3600 s behind that of pm1:6698"
    assert note in result.stderr


def test_empty_memory_is_said_to_be_empty(run: Run, endpoints: Endpoints) -> None:
    """There is no list of topologies to choose from."""
    empty = b"".join(write_history(History(1), lambda _: None, 1.0, 1.0, "")).decode()
    endpoints.answers["unix:/run/pm"] = FetchedPage(200, empty)
    result = run("why", "words", "--no-zookeeper", "--admin", "unix:/run/pm")
    assert result.exit_code == exit_codes.NO
    assert "unix:/run/pm remembers no worker at all" in result.stderr


class ConnectedState:
    """Stands in for ZooKeeper: a topology without a worker, once it is connected."""

    def __init__(self, settings: Settings) -> None:
        self._is_started = False

    def start(self, *, creates_root: bool = True) -> None:
        """Connect; a command that reads creates nothing."""
        assert not creates_root
        self._is_started = True

    def get_children(self, path: str, watch: bool = False) -> list[str]:
        """Return no node."""
        assert self._is_started
        return []

    def get_data(self, path: str, watch: bool = False) -> bytes | None:
        """Return nothing."""
        return None

    def __enter__(self) -> ConnectedState:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""


def test_why_reads_zookeeper(
    run: Run, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects, changes nothing, and says what ZooKeeper adds."""
    monkeypatch.setattr(zookeeper_state, "ZooKeeperState", ConnectedState)
    endpoints.answers["unix:/run/pm"] = FetchedPage(200, history())
    result = run("why", "words", "--admin", "unix:/run/pm")
    assert result.exit_code == exit_codes.OK
    assert "ZooKeeper cannot be read" not in result.stderr
    assert "ZooKeeper does not have its supervisor" in result.stdout


def test_worker_that_was_never_seen_is_told(
    run: Run, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ZooKeeper assigns it, and the other workers of its topology are told too."""
    found = moved(at_s=1_000)
    monkeypatch.setattr(zookeeper_state, "ZooKeeperState", ConnectedState)
    monkeypatch.setattr(reading, "read_nodes", lambda state, now_s: found)
    endpoints.answers["unix:/run/pm"] = FetchedPage(200, history())
    result = run("why", "words", "--admin", "unix:/run/pm")
    assert f"node-b-6700 of {TOPOLOGY}: never seen: " in result.stdout
    assert f"7a4e-6700 of {TOPOLOGY}: " in result.stdout
