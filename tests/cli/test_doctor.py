"""`doctor`, with a daemon in this process and without ZooKeeper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacemaker.cli.output import exit_codes
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
    assert "  remedy:  start ZooKeeper" in result.stdout
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


BIG = {f"a.key.of.a.plugin.{number}": "x" * 40 for number in range(20_000)}
NUMBER = "nimbus.task.timeout.secs"


def found_in(run: Run, *files: Path) -> list[dict[str, str]]:
    """Return what is found in files; nothing else is there to be asked."""
    result = run("doctor", "--json", "--timeout", "0.2", *map(str, files))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    findings: list[dict[str, str]] = json.loads(result.stdout)["findings"]
    return findings


@pytest.mark.parametrize(
    ("content", "key", "value"),
    [
        (b"", "storm.yaml", "holds no configuration"),
        (b"# nothing\n", "storm.yaml", "holds no configuration"),
        (b"- a\n- b\n", "storm.yaml", "not a list"),
        (b"hello", "storm.yaml", "not a single value"),
        (b"\x00\x01\xff\xfe", "storm.yaml", "must be UTF-8"),
        (b"a: 1\n---\nb: 2\n", "storm.yaml", "line 2, column 1: "),
        (b"a: " + b"[" * 3_000, "storm.yaml", "nested more than"),
        (b"pacemaker.host: caf\xe9\n", "pacemaker.host", "caf"),
        (b"pacemaker.port: x", "pacemaker.port", "'x'"),
        (b"pacemaker.servers: &a [*a]", "pacemaker.servers", "[["),
        ("pacemaker.servers: ['\u202e']".encode(), "pacemaker.servers", "u202e"),
    ],
)
def test_odd_file_is_one_finding(
    run: Run, tmp_path: Path, content: bytes, key: str, value: str
) -> None:
    """It names the key, the file, the value, the consequence and the remedy."""
    path = tmp_path / "storm.yaml"
    path.write_bytes(content)
    (finding,) = found_in(run, path)
    assert (finding["check"], finding["key"]) == ("invalid", key)
    assert finding["file"] == str(path)
    assert value in finding["value"]
    assert str(path) not in finding["value"]
    assert "the daemon does not start" in finding["because"]
    assert "config --check" in finding["remedy"]


def test_folder_and_missing_file_are_findings(run: Run, tmp_path: Path) -> None:
    """What is wrong with each is its value."""
    folder, missing = found_in(run, tmp_path, tmp_path / "nowhere.yaml")
    assert folder["value"] == "cannot be read: Is a directory"
    assert missing["value"] == "there is no such file"


@pytest.mark.parametrize(
    "text",
    [
        "storm.cluster.state.store: &a [*a]",
        "storm.cluster.state.store: {2020-01-01: x, 1: y}",
        "storm.cluster.state.store: '\u65e5\u672c\u202e'",
        f"{NUMBER}: 1{'0' * 400}",
        json.dumps(BIG),
    ],
)
def test_odd_values_are_no_crash(run: Run, tmp_path: Path, text: str) -> None:
    """Nor are they if two files have them; each finding stays short."""
    paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for path in paths:
        path.write_text(text, encoding="utf-8")
    found = found_in(run, *paths)
    assert {finding["check"] for finding in found} >= {"store", "no_servers"}
    assert all(len(finding["value"]) <= 500 for finding in found)


@pytest.mark.parametrize("value", ["'30'", "", "1.5", "0", "-3", ".inf", "yes", "[1]"])
def test_number_that_storm_refuses_is_named(
    run: Run, tmp_path: Path, value: str
) -> None:
    """The daemon does not read the key, but Nimbus does not start with it."""
    path = tmp_path / "storm.yaml"
    path.write_text(f"{NUMBER}: {value}\n")
    (finding,) = [each for each in found_in(run, path) if each["check"] == "number"]
    assert finding["key"] == NUMBER
    assert "Storm's default is 30" in finding["remedy"]


def test_file_that_is_named_twice_is_judged_once(run: Run, tmp_path: Path) -> None:
    """Nothing is said twice."""
    path = tmp_path / "storm.yaml"
    path.write_text("a: [")
    assert len(found_in(run, path, path)) == 1


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
