"""Our own commands, run by an administrator of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pacemaker.cli.output import exit_codes
from tests.real.daemons import ENVIRONMENT
from tests.real.jvm import ROOT

COMMAND_TIMEOUT_S = 240
WITHOUT_CREDENTIALS = ("-c", "pacemaker.auth.method=NONE")


class Commands:
    """Runs `storm-pacemaker-py` with a cluster's storm.yaml.

    Args:
        home: a STORM_HOME with the configuration.

    """

    def __init__(self, home: Path) -> None:
        self._config = ("--config", str(home / "conf" / "storm.yaml"))

    def names(self, path: str) -> list[str]:
        """Return the names below a path, as `ls` has them."""
        names: list[str] = self._json("ls", path)
        return names

    def heartbeat(self, path: str) -> dict[str, Any]:
        """Return a heartbeat, as `get` decodes it."""
        heartbeat: dict[str, Any] = self._json("get", path)["heartbeat"]
        return heartbeat

    def run(self, name: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        return self._run(name, *self._config, *args)

    def _run(self, name: str, *args: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **ENVIRONMENT}
        return subprocess.run(
            [sys.executable, "-m", "pacemaker", name, *args],
            cwd=ROOT,
            env={key: value for key, value in env.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )

    def doctor(self, *files: Path) -> list[dict[str, Any]]:
        """Return what `doctor` finds in these files, and in what they lead to."""
        done = self._run("doctor", "--json", *map(str, files))
        findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        return findings

    def _json(self, name: str, path: str) -> Any:
        done = self.run(name, "--json", path)
        assert done.returncode == exit_codes.OK, done
        return json.loads(done.stdout)
