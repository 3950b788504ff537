"""The programs in C: the load generator and the floor; compiled when needed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "benchmarks"

_FOLDER: Final = Path(__file__).parent
_SOURCES: Final = {"load": ("load.c", "wire.c"), "floor": ("floor.c",)}


def compiled(name: str) -> Path:
    """Return the path of a program, recompiled if its source has changed."""
    program = BUILD / name
    changed_s = max(path.stat().st_mtime for path in _FOLDER.glob("*.[ch]"))
    if not program.exists() or program.stat().st_mtime < changed_s:
        BUILD.mkdir(parents=True, exist_ok=True)
        sources = [str(_FOLDER / source) for source in _SOURCES[name]]
        subprocess.run(
            ["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), *sources], check=True
        )
    return program
