"""`doctor`, with a daemon in this process and without ZooKeeper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacemaker.cli import exit_codes
from pacemaker.client import ServerAddress
from pacemaker.doctor import gather
from tests.cli.conftest import Run
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

STORE = "org.apache.storm.cluster.PaceMakerStateStorageFactory"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for second heartbeats: there are none."""
    monkeypatch.setattr(gather, "BETWEEN_READS_S", 0.0)


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon."""
    with daemon() as address:
        yield address


def write(path: Path, **changes: Any) -> Path:
    """Write a storm.yaml."""
    values = {
        "storm.cluster.state.store": STORE,
        "pacemaker.servers": ["127.0.0.1"],
        "storm.zookeeper.servers": ["127.0.0.1"],
        "storm.zookeeper.port": 1,
        "storm.zookeeper.connection.timeout": 200,
        "supervisor.worker.heartbeats.max.timeout.secs": 60,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    path.write_text(json.dumps(values))
    return path


def checks(text: str) -> list[str]:
    """Return the words of the findings."""
    return [finding["check"] for finding in json.loads(text)["findings"]]


def test_a_living_pacemaker_and_a_dead_zookeeper(
    run: Run, conf_folder: Path, server: ServerAddress
) -> None:
    """The failure is named with key, file, reason and remedy; the exit code is 2."""
    path = write(conf_folder / "storm.yaml", pacemaker__port=server.port)
    result = run("doctor", "--timeout", "1")
    assert result.exit_code == exit_codes.FAILURES
    assert "FAILURE storm.zookeeper.servers" in result.stdout
    assert f"  where:   {path}" in result.stdout
    assert "  remedy:  start it" in result.stdout
    assert "dead_server" not in checks(run("doctor", "--json").stdout)


def test_a_dead_pacemaker_is_found(run: Run, conf_folder: Path) -> None:
    """It is asked, and does not answer."""
    write(conf_folder / "storm.yaml", pacemaker__port=1)
    assert "dead_server" in checks(run("doctor", "--json", "--timeout", "1").stdout)


def test_several_files_are_compared(
    run: Run, tmp_path: Path, server: ServerAddress
) -> None:
    """The first says where the cluster is; the second may be of another host."""
    first = write(tmp_path / "a.yaml", pacemaker__port=server.port)
    second = write(tmp_path / "b.yaml", pacemaker__port=7)
    result = run("doctor", "--json", "--timeout", "1", str(first), str(second))
    assert "differs" in checks(result.stdout)


@pytest.mark.parametrize(
    ("content", "word"),
    [("a: [", "invalid"), ("pacemaker.port: x", "invalid"), (None, "invalid")],
)
def test_a_file_that_cannot_be_read_is_a_finding(
    run: Run, tmp_path: Path, content: str | None, word: str
) -> None:
    """It is no error of the command, and nothing else is judged."""
    path = tmp_path / "storm.yaml"
    if content is not None:
        path.write_text(content)
    result = run("doctor", "--json", str(path))
    assert checks(result.stdout) == [word]
    assert result.exit_code == exit_codes.FAILURES


def test_no_file_is_a_finding(run: Run) -> None:
    """The daemon would start, but the cluster does not use Pacemaker."""
    assert checks(run("doctor", "--json").stdout) == ["missing"]


def test_jaas_trouble_is_found(run: Run, conf_folder: Path, tmp_path: Path) -> None:
    """A login file without the section, and the method with Storm 2.x."""
    (tmp_path / "jaas.conf").write_text("Other { a required; };")
    write(
        conf_folder / "storm.yaml",
        pacemaker__auth__method="DIGEST",
        java__security__auth__login__config=str(tmp_path / "jaas.conf"),
    )
    found = checks(run("doctor", "--json", "--timeout", "1").stdout)
    assert {"jaas", "digest_2x"} <= set(found)


def test_names_that_do_not_resolve_are_found(run: Run, conf_folder: Path) -> None:
    """The name is shown."""
    write(conf_folder / "storm.yaml", pacemaker__servers=["pm.invalid"])
    result = run("doctor", "--json", "--timeout", "1")
    assert "unresolved" in checks(result.stdout)
    assert "pm.invalid" in result.stdout
