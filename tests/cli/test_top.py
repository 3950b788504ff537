"""`top --once` and `--json`, over a daemon in this process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli import top
from pacemaker.cli.output import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.observe.views import tables
from pacemaker.observe.views.make_views import make_cluster_view
from tests.cli.conftest import Run
from tests.client.daemons import daemon
from tests.observe import made_up
from tests.observe.made_up import TOPOLOGY, A, B

pytestmark = pytest.mark.io


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon."""
    with daemon() as address:
        yield address


@pytest.fixture(autouse=True)
def _configured(conf_folder: Path, server: ServerAddress) -> None:
    """Name the daemon in storm.yaml."""
    (conf_folder / "storm.yaml").write_text(f'pacemaker.servers: ["{server}"]\n')


def store(server: ServerAddress, topology_id: str, worker: str) -> None:
    """Store a heartbeat of a worker."""
    details = made_up.value(made_up.executors_of(worker), int(time.time()))
    with PacemakerConnection(server) as connection:
        path = f"/workerbeats/{topology_id}/{worker}"
        connection.request(requests.send_pulse(path, details))


def test_once_prints_what_is_wrong_and_the_topologies(
    run: Run, server: ServerAddress
) -> None:
    """The first line is a sentence; the table has a row for each topology."""
    store(server, TOPOLOGY, A)
    store(server, TOPOLOGY, B)
    result = run("top", "--once", "--no-zookeeper")
    assert result.exit_code == exit_codes.OK
    first, *_, head, row = result.stdout.splitlines()
    assert first == "All is well: heartbeats from 2 workers of 1 topology."
    assert head.split()[:3] == ["!", "TOPOLOGY", "STATUS"]
    assert row.split()[:5] == ["-", "words", "?", "2/?", "5/?"]


def test_columns_filter_and_order_are_chosen(run: Run, server: ServerAddress) -> None:
    """Only the rows and columns that were asked for are printed."""
    for name in ("words-1-1", "letters-2-1", "other-3-1"):
        store(server, name, A)
    store(server, "letters-2-1", B)
    options = ("--columns", "name,workers", "--filter", "e", "--sort", "workers")
    result = run("top", "--once", "--no-zookeeper", *options)
    rows = [line.split() for line in result.stdout.splitlines()[-2:]]
    assert rows == [["letters", "2/?"], ["other", "1/?"]]


def test_json_has_everything(run: Run, server: ServerAddress) -> None:
    """Topologies, components, workers and executors, with Storm's windows."""
    store(server, TOPOLOGY, A)
    result = run("top", "--json", "--no-zookeeper")
    (topology,) = json.loads(result.stdout)["topologies"]
    names = [each["name"] for each in topology["components"]]
    assert names == ["__acker", "bolt@2", "spout@5"]
    assert topology["executor_details"][0]["windows"]["600"]["executed"] == 30


def test_nothing_a_worker_writes_drives_the_terminal(
    run: Run, server: ServerAddress
) -> None:
    """Escape sequences and line ends in names are escaped."""
    store(server, "evil\x1b[31m\n\u202ename-1-1700000000", A)
    result = run("top", "--once", "--no-zookeeper")
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "evil\\x1b[31m\\n\\u202ename" in result.stdout


def test_an_unknown_column_is_refused(run: Run) -> None:
    """The error names those that there are."""
    result = run("top", "--once", "--columns", "name,nonsense")
    assert result.exit_code == exit_codes.USAGE
    assert "'nonsense'; the columns are state, name" in result.stderr.replace("\n", " ")


def test_no_server_is_an_error(run: Run) -> None:
    """The exit code is that of the other commands."""
    result = run("top", "--once", "--no-zookeeper", "--server", "127.0.0.1:1")
    assert result.exit_code == exit_codes.NO_ANSWER
    assert "No data" in result.stdout
    assert "Traceback" not in result.output


def test_columns_of_the_command_are_those_of_the_table() -> None:
    """The command names them without loading the table."""
    view = make_cluster_view(made_up.running(), made_up.NOW)
    assert [c.name for c in tables.topology_columns(view)] == list(top.COLUMNS)
