"""The jars of Storm and ZooKeeper, which are measured here and tested against.

They are fetched by Maven into a cache folder, once: under a lock, in a temporary folder
that is renamed when it is complete, so that neither a second process nor an interrupted
one leaves half a thing there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
POMS: Final = Path(__file__).parent / "maven"

# The releases of Storm, and the artifact that holds what is used of each.
ARTIFACTS: Final = {
    "1.2.4": "storm-core",
    # The client classes alone: a sixth of storm-server's size.
    "2.4.0": "storm-client",
    # The newest release whose artifacts are all on Maven Central; with its daemons.
    "2.8.3": "storm-server",
}
RELEASES: Final = tuple(ARTIFACTS)
NEWEST_RELEASE: Final = RELEASES[-1]

ZOOKEEPER_RELEASE: Final = "3.9.4"
ZOOKEEPER_CLASS: Final = "org.apache.zookeeper.server.ZooKeeperServerMain"

# The JVM's Pacemaker by the first digit of its release.
MAIN_CLASSES: Final = {
    "1": "org.apache.storm.pacemaker.pacemaker",
    "2": "org.apache.storm.pacemaker.Pacemaker",
}

MAVEN_TIMEOUT_S: Final = 600

# Storm reaches into these packages; since JDK 16 that must be allowed.
ADD_OPENS: Final = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.util", "java.nio", "sun.nio.ch", "java.net")
)


class MissingError(Exception):
    """A real part is not there; says what is missing."""


def program(name: str) -> str:
    """Return the path of an installed program.

    Raises:
        MissingError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingError(f"{name} is not installed")
    return path


def cache_dir() -> Path:
    """Return the folder for what is fetched and compiled; create it if necessary."""
    path = Path(os.environ.get("STORM_PACEMAKER_CACHE") or ROOT / ".cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache; if there is none yet, `make` fills it."""
    target = cache_dir() / name
    if target.is_dir():
        return target
    with _locked(name):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=cache_dir(), prefix="part-") as part:
                content = Path(part) / "content"
                content.mkdir()
                make(content)
                content.rename(target)
    return target


def run(argv: Sequence[str], timeout_s: float) -> None:
    """Run a program; raise RuntimeError, with the end of its output, if it fails."""
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        tail = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{Path(argv[0]).name} failed:\n{tail}")


def maven_classpath(name: str, pom: Path, **properties: str) -> str:
    """Return a class path with the jars that a pom names, fetched once by Maven.

    Args:
        name: names the folder in the cache, together with the pom's content.
        pom: the file.
        properties: what the pom leaves open, with "_" for "." in the names.

    Raises:
        MissingError: it could not be fetched.
    """
    pom_hash = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]

    def fetch(folder: Path) -> None:
        run(
            [
                program("mvn"),
                "--batch-mode",
                "--quiet",
                f"--file={pom}",
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={folder}",
                *(f"-D{k.replace('_', '.')}={v}" for k, v in properties.items()),
            ],
            MAVEN_TIMEOUT_S,
        )

    try:
        folder = made_once(f"{name}-{pom_hash}", fetch)
    except RuntimeError as exc:
        raise MissingError(f"{name} could not be fetched: {exc}") from exc
    return f"{folder}/*"


def storm_classpath(release: str) -> str:
    """Return a class path with the jars of a Storm release.

    Args:
        release: one of `RELEASES`.

    Raises:
        MissingError: it could not be fetched.
    """
    artifact = ARTIFACTS[release]
    return maven_classpath(
        f"{artifact}-{release}",
        POMS / "storm.xml",
        storm_artifact=artifact,
        storm_release=release,
    )


def zookeeper_classpath() -> str:
    """Return a class path with ZooKeeper's jars.

    Raises:
        MissingError: it could not be fetched.
    """
    release = ZOOKEEPER_RELEASE
    pom = POMS / "zookeeper.xml"
    return maven_classpath(f"zookeeper-{release}", pom, zookeeper_release=release)
