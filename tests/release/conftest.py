"""The tools that make artefacts, in an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import jars

ROOT = Path(__file__).parents[2]
HELM_VERSION = "v3.22.0"
HELM = f"helm.sh/helm/v3/cmd/helm@{HELM_VERSION}"
EPOCH = 1_800_000_000


@pytest.fixture(scope="session")
def helm() -> Path:
    """Return the installed Helm, or one that Go builds once; without both, skip.

    This is no reason to fail `make test`: a distribution's Go is often too old, and no
    distribution has Helm.  `make release-check` sets REQUIRE_HELM=1.
    """
    if installed := shutil.which("helm"):
        return Path(installed)
    try:
        return jars.made_once(f"helm-{HELM_VERSION}", _build_helm) / "helm"
    except (FileNotFoundError, subprocess.CalledProcessError) as exc:
        reason = f"helm is not installed, and Go cannot build it: {exc}"
    if os.environ.get("REQUIRE_HELM") == "1":
        pytest.fail(f"REQUIRE_HELM=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def _build_helm(folder: Path) -> None:
    environ = os.environ | {"GOBIN": str(folder)}
    subprocess.run(["go", "install", HELM], env=environ, check=True)


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
