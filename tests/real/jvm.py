"""Java for the tests: drivers by javac, programs as children.

The jars are those of `benchmarks.jars`; what is compiled goes into the same cache
folder, and is made once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks import jars
from tests.real.child import Child

ROOT = Path(__file__).resolve().parents[2]
RELEASES = jars.RELEASES
NEWEST_RELEASE = jars.NEWEST_RELEASE
ADD_OPENS = jars.ADD_OPENS

JAVA_SOURCES = ROOT / "tests" / "real" / "java"

JAVAC_TIMEOUT_S = 120

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
    return _or_skip(lambda: jars.program(name))


def _or_skip(find: Callable[[], str]) -> str:
    try:
        return find()
    except jars.MissingError as exc:
        missing(str(exc))


def storm_classpath(release: str) -> str:
    """Return a class path with the jars of a Storm release, or skip the test.

    Args:
        release: one of RELEASES.

    """
    program("java")
    return _or_skip(lambda: jars.storm_classpath(release))


def zookeeper_classpath() -> str:
    """Return a class path with ZooKeeper's jars, or skip the test."""
    program("java")
    return _or_skip(jars.zookeeper_classpath)


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
        jars.run([*argv, *files], JAVAC_TIMEOUT_S)

    return jars.made_once(f"classes-{digest.hexdigest()[:16]}", build)


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
