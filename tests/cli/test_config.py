"""`config` and `config --check`."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from pacemaker.cli.output import exit_codes
from pacemaker.config.keys import KEYS, OPTION_PREFIX
from tests.cli.conftest import Run


def test_config_prints_each_value_and_its_origin(run: Run, conf_folder: Path) -> None:
    """Every key that is read is a line of YAML, with its origin as a comment."""
    (conf_folder / "storm.yaml").write_text("pacemaker.servers: [a, b]\n")
    result = run("config", "-c", "pacemaker.port=7000")
    assert result.exit_code == exit_codes.OK
    printed = yaml.safe_load(result.stdout)
    names = [key.name for key in KEYS]
    assert list(printed)[: len(names)] == names
    assert all(name.startswith(OPTION_PREFIX) for name in list(printed)[len(names) :])
    assert printed["pacemaker.port"] == 7000
    assert printed["pacemaker.servers"] == ["a", "b"]
    assert printed["pacemaker.auth.method"] == "NONE"
    origins = {
        line.split(":")[0]: line.partition("  # ")[2]
        for line in result.stdout.splitlines()
    }
    assert origins["pacemaker.port"] == "-c"
    assert origins["pacemaker.servers"] == str(conf_folder / "storm.yaml")
    assert origins["pacemaker.auth.method"] == "default"


def test_config_can_be_read_again(run: Run, conf_folder: Path) -> None:
    """What `config` prints is itself a configuration with the same values."""
    first = run("config", "-c", "nimbus.daemon.user=Zürich: \x1b", "-c", "a=[b]")
    (conf_folder / "storm.yaml").write_text(first.stdout)
    second = run("config")
    assert yaml.safe_load(second.stdout) == yaml.safe_load(first.stdout)


def test_config_shows_no_secret(run: Run, conf_folder: Path) -> None:
    """Neither the payload for ZooKeeper nor the JVM's options are printed."""
    (conf_folder / "storm.yaml").write_text(
        "storm.zookeeper.auth.payload: user:hunter2\n"
        "pacemaker.childopts: -Djavax.net.ssl.trustStorePassword=hunter2\n"
    )
    result = run("config")
    assert "hunter2" not in result.output
    assert "\n# storm.zookeeper.auth.payload: (not shown) " in result.stdout


def test_config_writes_no_other_secret(run: Run, conf_folder: Path) -> None:
    """What is printed can be used as a storm.yaml: no words of ours are a payload."""
    names = [key.name for key in KEYS if key.is_secret]
    path = conf_folder / "storm.yaml"
    path.write_text("".join(f"{name}: hunter2\n" for name in names))
    path.write_text(run("config").stdout)
    values = yaml.safe_load(path.read_text())
    assert not set(names) & set(values)
    assert run("config").exit_code == exit_codes.OK


def test_config_logs_what_was_read(run: Run, conf_folder: Path) -> None:
    """The file, the method and the notes are the first lines on stderr."""
    path = conf_folder / "storm.yaml"
    path.write_text("pacemaker.base.threads: 5\npacemaker.prot: 1\n")
    lines = [line.split(" ", 5)[4:] for line in run("config").stderr.splitlines()]
    assert lines == [
        ["[INFO]", f"read {path}"],
        ["[INFO]", "authentication: NONE"],
        ["[INFO]", "without effect here: pacemaker.base.threads"],
        [
            "[WARN]",
            "unknown key 'pacemaker.prot' is ignored; did you mean pacemaker.port?",
        ],
    ]


def test_log_level_silences_the_notes(run: Run) -> None:
    """With --log-level error nothing but errors goes to stderr."""
    assert run("config", "--log-level", "error").stderr == ""


def test_check_says_that_serve_would_start(run: Run) -> None:
    """A good configuration is one line and exit code 0."""
    result = run("config", "--check")
    assert result.exit_code == exit_codes.OK
    assert result.stdout == "serve would start with this configuration\n"


def test_check_names_what_is_wrong(run: Run, conf_folder: Path) -> None:
    """A wrong value is one line that names file, key, value and what is allowed."""
    path = conf_folder / "storm.yaml"
    path.write_text("pacemaker.port: '6699'\n")
    result = run("config", "--check")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: {path}: pacemaker.port: '6699': "
        "must be an integer from 0 to 65535, without quotes\n"
    )


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_file_that_cannot_be_read_is_wrong_configuration(
    run: Run, conf_folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Whatever is wrong with the file of --config, the exit code is 78, not 2."""
    path = conf_folder / "locked.yaml"
    path.write_text("pacemaker.port: 7000\n")

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "access", lambda *args, **kwargs: False)
    monkeypatch.setattr(Path, "open", refuse)  # root itself may read anything
    result = run("config", *arguments, "--config", str(path))
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert f"Error: {path}: cannot be read: Permission denied" in result.stderr
    monkeypatch.undo()
    for name in (str(conf_folder), "gone", f"{path}/below"):
        result = run("config", *arguments, "--config", name)
        assert result.exit_code == exit_codes.WRONG_CONFIGURATION


@pytest.mark.parametrize(
    "line",
    [
        "storm.zookeeper.servers: ['zk1:2181']",
        "storm.zookeeper.servers: []",
        "pacemaker.servers: [a..b]",
        "pacemaker.host: a..b",
    ],
)
def test_check_finds_what_is_no_host(run: Run, conf_folder: Path, line: str) -> None:
    """A server that no client could reach is wrong before one tries."""
    (conf_folder / "storm.yaml").write_text(f"{line}\n")
    result = run("config", "--check")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert f"storm.yaml: {line.partition(':')[0]}: " in result.stderr
    assert "must " in result.stderr


def test_check_finds_what_a_method_lacks(run: Run) -> None:
    """DIGEST without a file that holds its secret would not start."""
    result = run("config", "--check", "-c", "pacemaker.auth.method=DIGEST")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert "JAAS file" in result.stderr.splitlines()[-1]


def test_config_says_how_long_misses_are_held(run: Run, conf_folder: Path) -> None:
    """A comment says what `serve` would do, and why."""
    (conf_folder / "storm.yaml").write_text("pacemaker.servers: [a]\n")
    assert run("config").stdout.endswith(
        "# serve holds misses after a start: 20 s; 10 s if the listening socket"
        " is handed over (pacemaker.servers names one server)\n"
    )
