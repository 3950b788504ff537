"""The container engine, and Compose of whichever release is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.real.jvm import ROOT, missing

COMMAND_TIMEOUT_S = 600
"""For a build at the most: all else takes seconds."""

COMMANDS = (("docker", "compose"), ("docker-compose",))
"""Compose of today, and of old."""

COMPOSE_FILE = ROOT / "docker-compose.yml"


def docker(*args: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
    """Run a command of the engine's client and return its output."""
    return run(["docker", *args], timeout_s)


def run(argv: Sequence[str], timeout_s: float = COMMAND_TIMEOUT_S) -> str:
    """Run a command and return its output; where it fails, the error shows it all."""
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{shlex.join(argv)}: exit code {done.returncode}\n{said}")
    return done.stdout


def succeeds(*argv: str) -> bool:
    """Tell whether a command can be run and ends with 0."""
    if shutil.which(argv[0]) is None:
        return False
    done = subprocess.run(argv, capture_output=True, check=False)
    return done.returncode == 0


def need_engine() -> None:
    """Skip the test, or fail it, where no container engine runs."""
    if not succeeds("docker", "version"):
        missing("no container engine runs here (`docker version` fails)")


@cache
def compose_command() -> tuple[str, ...]:
    """Return the command that COMPOSE names, else the plugin, else docker-compose."""
    if named := os.environ.get("COMPOSE"):
        return tuple(shlex.split(named))
    installed = [one for one in COMMANDS if succeeds(*one, "version")]
    return installed[0] if installed else missing(f"none of {COMMANDS} is installed")


class Project:
    """One project of Compose: the file of this repository, and what is laid over it.

    Args:
        name: of the project, and so of its containers and its network.
        overlays: further files, which add to the first one.

    Attributes:
        network: the name of its network.
    """

    def __init__(self, name: str, *overlays: Path) -> None:
        self.name = name
        self.network = f"{name}_default"
        files = [COMPOSE_FILE, *overlays]
        self._prefix = [
            *compose_command(),
            f"--project-name={name}",
            f"--project-directory={ROOT}",
            *(f"--file={file}" for file in files),
        ]

    def run(self, *args: str) -> str:
        """Run a command of Compose on this project and return its output."""
        return run([*self._prefix, *args])

    def container(self, service: str) -> str:
        """Return the id of the container of a service, whatever its state."""
        label = "label=com.docker.compose"
        found = docker(
            "ps",
            "--all",
            "--quiet",
            f"--filter={label}.project={self.name}",
            f"--filter={label}.service={service}",
        ).split()
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def down(self) -> None:
        """Take everything down, and see that nothing of it is left."""
        self.run("down", "--volumes", "--remove-orphans", "--timeout=5")
        mine = f"--filter=label=com.docker.compose.project={self.name}"
        for listing in (
            ("ps", "--all", "--quiet"),
            ("network", "ls", "--quiet"),
            ("volume", "ls", "--quiet"),
        ):
            left = docker(*listing, mine)
            assert not left, f"{listing[0]}: {left}"
