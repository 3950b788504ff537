"""The commands run in this process, in an environment of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pacemaker.cli import main
from pacemaker.client import ServerAddress
from tests.client.daemons import daemon

Run = Callable[..., Result]


@pytest.fixture
def conf_folder(tmp_path: Path) -> Path:
    """Return an empty conf folder."""
    folder = tmp_path / "conf"
    folder.mkdir()
    return folder


@pytest.fixture
def server(conf_folder: Path) -> Iterator[ServerAddress]:
    """Start a daemon, and name it in storm.yaml."""
    with daemon() as address:
        servers = f'pacemaker.servers: ["{address}"]\n'
        (conf_folder / "storm.yaml").write_text(servers)
        yield address


@pytest.fixture
def run(conf_folder: Path) -> Iterator[Run]:
    """Return a function that runs a command line over the conf folder."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.raiseExceptions)
    environ = {"STORM_CONF_DIR": str(conf_folder), "STORM_HOME": None, "PATH": ""}

    def run_command(*args: str, stdin: str = "") -> Result:
        return CliRunner().invoke(
            main, args, stdin, prog_name="storm-pacemaker-py", env=environ
        )

    yield run_command
    root.level, root.handlers[:], logging.raiseExceptions = before
