"""The commands run in this process, in an environment of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pacemaker.cli import main

Run = Callable[..., Result]


@pytest.fixture
def conf_folder(tmp_path: Path) -> Path:
    """Return an empty conf folder."""
    folder = tmp_path / "conf"
    folder.mkdir()
    return folder


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
