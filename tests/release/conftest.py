"""The tools that make artefacts, in an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import jars

ROOT = Path(__file__).parents[2]
HELM_VERSION = "v3.22.0"
HELM = f"helm.sh/helm/v3/cmd/helm@{HELM_VERSION}"
EPOCH = 1_800_000_000


@pytest.fixture(scope="session")
def helm() -> Path:
    """Return the installed Helm, or one that was built before; without both, skip.

    Building it takes Go some minutes, and a distribution's Go is often too old, so only
    `make release-check` does (it sets REQUIRE_HELM=1, which turns a skip into a
    failure).
    """
    if installed := shutil.which("helm"):
        return Path(installed)
    name = f"helm-{HELM_VERSION}"
    if os.environ.get("REQUIRE_HELM") == "1":
        return jars.made_once(name, _build_helm) / "helm"
    if (built := jars.cache_dir() / name / "helm").exists():
        return built
    pytest.skip("helm is not installed; with REQUIRE_HELM=1 Go builds it once")


def _build_helm(folder: Path) -> None:
    if shutil.which("go") is None:
        pytest.fail("REQUIRE_HELM=1, but neither helm nor go is installed", False)
    # Go's caches are a gigabyte, and of no use afterwards.
    with tempfile.TemporaryDirectory(dir=folder) as caches:
        places = {"GOBIN": str(folder), "GOPATH": caches, "GOCACHE": f"{caches}/build"}
        command = ["go", "install", "-modcacherw", HELM]
        subprocess.run(command, env=os.environ | places, check=True)


@pytest.fixture(scope="session")
def release_python() -> Path:
    """Set up the environment of the tools if it is missing; return its Python."""
    subprocess.run(
        [ROOT / "release" / "set-up"],
        env=os.environ | {"PYTHON": sys.executable},
        check=True,
        capture_output=True,
    )
    return ROOT / ".venv-release" / "bin" / "python"
