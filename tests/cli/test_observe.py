"""`observe` as a process: it logs, serves its page, and ends when it is asked to."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import fetch_page
from pacemaker.cli.output import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from tests.cli.conftest import Run
from tests.client.daemons import daemon
from tests.observe import made_up
from tests.observe.made_up import TOPOLOGY, A
from tests.real.child import Child

pytestmark = pytest.mark.io

WAIT_S = 60


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon that holds the heartbeat of a worker that died."""
    details = made_up.value(made_up.executors_of(A), int(time.time()) - 60)
    with daemon() as address, PacemakerConnection(address) as connection:
        path = f"/workerbeats/{TOPOLOGY}/{A}"
        connection.request(requests.send_pulse(path, details))
        yield address


def start(server: ServerAddress, *options: str) -> Child:
    """Start the command."""
    observe = [sys.executable, "-m", "pacemaker", "observe", "--no-zookeeper"]
    return Child([*observe, "--server", str(server), *options])


def test_it_logs_serves_and_ends(server: ServerAddress) -> None:
    """The late worker is in the log and on the page; SIGTERM ends it with 0."""
    child = start(server, "--http", "127.0.0.1:0")
    try:
        port = child.logged(r"the page is at http://127.0.0.1:(\d+)/", WAIT_S)
        child.logged(r"has sent no heartbeat for \d+ s", WAIT_S)
        address = AdminAddress("127.0.0.1", int(port[1]))
        answer = fetch_page(address, "/?format=json", WAIT_S)
        assert json.loads(answer.text)["topologies"][0]["id"] == TOPOLOGY
        assert "storm_topology_workers" in fetch_page(address, "/metrics", WAIT_S).text
        child.signal(signal.SIGTERM)
        assert child.wait() == exit_codes.OK
    finally:
        child.stop()


def test_other_hosts_need_a_token(run: Run, server: ServerAddress) -> None:
    """An address that is not of the loopback is refused without one."""
    result = run("observe", "--server", str(server), "--http", "0.0.0.0:0")
    assert result.exit_code == exit_codes.USAGE
    assert "--http-token-file" in result.stderr


def test_authentication_needs_a_token_on_the_loopback(
    run: Run, conf_folder: Path
) -> None:
    """Who may not read from Pacemaker may not read here either."""
    jaas = conf_folder / "jaas.conf"
    jaas.write_text('PacemakerDigest { a required username="u" password="p"; };')
    (conf_folder / "storm.yaml").write_text(
        'pacemaker.servers: ["127.0.0.1"]\n'
        "pacemaker.auth.method: DIGEST\n"
        f"java.security.auth.login.config: {jaas}\n"
    )
    result = run("observe", "--http", "127.0.0.1:0")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert re.search(r"--http needs\s+--http-token-file", result.stderr)


def test_a_taken_address_is_an_error(run: Run, server: ServerAddress) -> None:
    """The error names the address and the option."""
    result = run(
        "observe", "--no-zookeeper", "--server", str(server), "--http", str(server)
    )
    assert result.exit_code == exit_codes.CANNOT_LISTEN
    assert f"{server} (--http)" in result.stderr


def test_a_wrong_server_is_named_by_its_origin(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that nobody typed is looked for where the message says."""
    variable = "STORM_PACEMAKER_OBSERVE_SERVER"
    monkeypatch.setenv(variable, "pm1:0")
    result = run("observe")
    assert result.exit_code == exit_codes.USAGE
    assert variable in result.stderr
