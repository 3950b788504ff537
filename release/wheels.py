"""Try the wheel with each extra on each Python of this machine, and by pipx.

    python -m release.wheels FOLDER

FOLDER has the wheel.  Each environment is fresh, and has nothing of the system's.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pacemaker._version import __version__
from release.dist import ReleaseError, run

MINORS: Final = range(10, 15)
"""Python 3.10 to 3.14."""

_ZSTD: Final = """
from pacemaker.heartbeats.compression import Compression, compress, decompress
assert decompress(compress(b"x", Compression.ZSTD)) == b"x"
"""

EXTRAS: Final = {
    "": "import pacemaker.client",
    "metrics": "import prometheus_client",
    "zstd": _ZSTD,
    "top": "import textual",
    "kerberos": "import gssapi, kerberos, puresasl",
}
"""Each extra, and what works in Python once it is installed."""

PROGRAM: Final = "storm-pacemaker-py"


def pythons() -> Iterator[tuple[str, Path]]:
    """Yield the releases of Python and the interpreter of each that is found here."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for minor in MINORS:
        version = f"3.{minor}"
        on_path = shutil.which(f"python{version}")
        found = [Path(on_path)] if on_path else []
        found += sorted(pyenv.glob(f"versions/{version}.*/bin/python3"))
        for path in found:
            if _is_version(path, version):
                yield version, path
                break


def _is_version(path: Path, version: str) -> bool:
    """Tell whether an interpreter runs: a shim of pyenv may not."""
    try:
        return version in run(path, "--version")
    except ReleaseError:
        return False


def try_extra(python: Path, wheel: Path, extra: str) -> None:
    """Install the wheel with an extra, use what it brings, and run the program.

    Raises:
        ReleaseError: a step failed.
    """
    with tempfile.TemporaryDirectory() as name:
        run(python, "-m", "venv", name)
        programs = Path(name) / "bin"
        wanted = f"{wheel}[{extra}]" if extra else f"{wheel}"
        # -I: `-m` would take what is in the folder of the tree for installed.
        pip = (programs / "python", "-I", "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", wanted)
        run(programs / "python", "-I", "-c", EXTRAS[extra])
        expect_program(programs / PROGRAM)


def try_pipx(wheel: Path) -> None:
    """Install the wheel by pipx, run the program, and remove it again.

    Raises:
        ReleaseError: a step failed, or something is left.
    """
    with tempfile.TemporaryDirectory() as name:
        tools, home = Path(name) / "tools", Path(name) / "home"
        run(sys.executable, "-m", "venv", tools)
        pip = (tools / "bin/python", "-I", "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", "pipx")
        folders = {"HOME": home, "BIN_DIR": home / "bin", "MAN_DIR": home / "man"}
        variables = [f"PIPX_{name}={folder}" for name, folder in folders.items()]
        pipx: list[str | Path] = ["env", *variables, tools / "bin/pipx"]
        run(*pipx, "install", "--quiet", wheel)
        expect_program(home / "bin" / PROGRAM)
        run(*pipx, "uninstall", PROGRAM)
        left = home / "bin" / PROGRAM
        if left.is_symlink():
            raise ReleaseError(f"pipx uninstall has left {left}")


def expect_program(program: Path) -> None:
    """Run an installed program: its version, and all that a start loads.

    Raises:
        ReleaseError: it is of another version, or does not run.
    """
    told = run(program, "--version", cwd=program.parent)
    if __version__ not in told:
        raise ReleaseError(f"{program} --version says {told!r}, not {__version__}")
    run("env", "STORM_CONF_DIR=/", program, "config", "--check", cwd=program.parent)


def main(folder: Path) -> None:
    """Try everything; name what was tried and what was not found."""
    (wheel,) = folder.resolve().glob("*.whl")
    found = dict(pythons())
    for version, python in found.items():
        for extra in EXTRAS:
            try_extra(python, wheel, extra)
            print(f"    Python {version}: {extra or 'no extra'}", flush=True)  # noqa: T201
    try_pipx(wheel)
    print("    pipx", flush=True)  # noqa: T201
    missing = [f"3.{minor}" for minor in MINORS if f"3.{minor}" not in found]
    if missing:
        print(f"    not found here, so not tried: {', '.join(missing)}")  # noqa: T201


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ReleaseError as exc:
        sys.exit(f"Error: {exc}")
