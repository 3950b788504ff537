"""The tools that make artefacts, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = 1_800_000_000


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
