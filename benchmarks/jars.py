"""The jars of Storm and ZooKeeper, for benchmarks and tests.

Maven fetches them once into a cache folder.  This is done under a lock and in a
temporary folder, which is renamed when it is complete.  So neither a second process nor
an interrupted one can leave a partial folder in the cache.
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

# The releases of Storm, and the artifact of each that contains the classes used here.
ARTIFACTS: Final = {
    "1.2.4": "storm-core",
    # Only the client classes: a sixth of storm-server's size.
    "2.4.0": "storm-client",
    # The newest release with all artifacts on Maven Central.  Includes the daemons.
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

# Storm uses reflection on these packages, which needs permission since JDK 16.
ADD_OPENS: Final = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.util", "java.nio", "sun.nio.ch", "java.net")
)


class MissingError(Exception):
    """Something that is measured or tested against is missing; the text says what."""


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
    """Return the folder for fetched and compiled files; create it if necessary."""
    path = Path(os.environ.get("STORM_PACEMAKER_CACHE") or ROOT / ".cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; if it does not exist yet, `make` fills it."""
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
    """Run a program.

    Raises:
        RuntimeError: it failed; the text has the end of its output.
    """
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        tail = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{Path(argv[0]).name} failed:\n{tail}")


def maven_classpath(name: str, pom: Path, **properties: str) -> str:
    """Return a class path with the jars that a pom names, fetched once by Maven.

    Args:
        name: the name of the folder in the cache, to which a hash of the pom is added.
        pom: the file.
        properties: the properties that the pom uses, with "_" for "." in their names.

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
