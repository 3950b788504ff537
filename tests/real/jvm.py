"""Java for the tests: Storm's jars by Maven, drivers by javac, programs as children.

What is fetched or compiled goes into a cache folder and is made once: under a
lock, in a temporary folder that is renamed when it is complete, so that neither
a second test process nor an interrupted one leaves half a thing there.
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
from typing import NoReturn

import pytest

from tests.real.child import Child

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "real" / "maven" / "pom.xml"
JAVA_SOURCES = ROOT / "tests" / "real" / "java"

ARTIFACTS = {
    "1.2.4": "storm-core",
    # The client classes alone: a sixth of storm-server's size.
    "2.4.0": "storm-client",
    # The newest release whose artifacts are all on Maven Central; with its daemons.
    "2.8.3": "storm-server",
}
"""The releases tested, and the artifact that holds what is used of each."""

RELEASES = tuple(ARTIFACTS)
NEWEST_RELEASE = RELEASES[-1]

MAVEN_TIMEOUT_S = 600
JAVAC_TIMEOUT_S = 120

# Storm reaches into these packages; since JDK 16 that must be allowed.
ADD_OPENS = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.util", "java.nio", "sun.nio.ch", "java.net")
)

JAVA_OPTIONS = (
    "-Xmx256m",
    # Short runs: starting fast matters more than running fast, and two cores
    # do not want a parallel collector for each program.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Djava.net.preferIPv4Stack=true",
    *ADD_OPENS,
    # 1.x reports its figures by JMX, with the help of an internal class.
    "--add-exports=java.management/com.sun.jmx.mbeanserver=ALL-UNNAMED",
    "--add-opens=java.management/com.sun.jmx.mbeanserver=ALL-UNNAMED",
)


def missing(reason: str) -> NoReturn:
    """Skip the test for want of a real part, or fail it where all are required."""
    if os.environ.get("REQUIRE_REAL") == "1":
        pytest.fail(f"REQUIRE_REAL=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def program(name: str) -> str:
    """Return the path of an installed program, or skip the test."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed")
    return path


def cache_dir() -> Path:
    """Return the folder for what is fetched and compiled, made where it is missing."""
    path = Path(os.environ.get("STORM_PACEMAKER_CACHE") or ROOT / ".cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache; where it is missing, `make` fills it."""
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


def _run(argv: Sequence[str], timeout_s: float) -> None:
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

    """
    program("java")
    pom_hash = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]

    def fetch(folder: Path) -> None:
        _run(
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
        missing(f"{name} could not be fetched: {exc}")
    return f"{folder}/*"


def storm_classpath(release: str) -> str:
    """Return a class path with the jars of a Storm release.

    Args:
        release: one of RELEASES.

    """
    artifact = ARTIFACTS[release]
    return maven_classpath(
        f"{artifact}-{release}", POM, storm_artifact=artifact, storm_release=release
    )


def compile_java(sources: Sequence[Path], classpath: str) -> Path:
    """Return the folder of the classes that javac made of these sources.

    It is kept by the content of the sources, the class path and the compiler.
    """
    javac = program("javac")
    digest = hashlib.sha256(f"{Path(javac).resolve()}\0{classpath}".encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())

    def build(folder: Path) -> None:
        files = [str(source) for source in sources]
        argv = [javac, "-proc:none", "-nowarn", "-cp", classpath, "-d", str(folder)]
        _run([*argv, *files], JAVAC_TIMEOUT_S)

    return made_once(f"classes-{digest.hexdigest()[:16]}", build)


class JavaProgram(Child):
    """A Java class that runs as a child process: one line in, one line out.

    Args:
        main_class: the class to run.
        classpath: where it and its libraries are, first entries first.
        args: its arguments.
        options: further options of the JVM.

    """

    def __init__(
        self,
        main_class: str,
        classpath: Sequence[str | Path],
        *args: str,
        options: Sequence[str] = (),
    ) -> None:
        path = os.pathsep.join(str(entry) for entry in classpath)
        java = [program("java"), *JAVA_OPTIONS, *options, "-cp", path]
        super().__init__([*java, main_class, *args])
