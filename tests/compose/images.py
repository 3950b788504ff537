"""The images that the compose file and the Dockerfiles name.

If no registry has an image, a stand-in is built from Debian's packages, and Storm's and
ZooKeeper's jars from Maven Central.  It has the official image's name, and its folders,
user, variables and commands, as far as the compose file uses them.  Stand-ins are kept
for the next run, under a label:

    python -m tests.compose.images          builds what is missing
    python -m tests.compose.images remove   removes them, and images built from them

The build uses the host's apt sources, CA certificates and pip.conf.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.homes import APPENDERS, LOG4J2
from tests.compose.engine import docker, need_engine, run, succeeds
from tests.real.jvm import NEWEST_RELEASE, storm_classpath, zookeeper_classpath

STAND_INS = Path(__file__).parent / "stand_ins"
LABEL = "storm-pacemaker-py.stand-in"

PYTHON_IMAGE = "python:3.13-slim"
JAVA_IMAGE = "eclipse-temurin:17-jdk"
STORM_IMAGE = f"storm:{NEWEST_RELEASE}"
ZOOKEEPER_IMAGE = "zookeeper:3.9"

OWN_IMAGE = "storm-pacemaker-py"
SYSTEMD_IMAGE = "storm-pacemaker-py-systemd"
KERBEROS_IMAGE = f"{OWN_IMAGE}:kerberos"
BUILT_IMAGES = (OWN_IMAGE, KERBEROS_IMAGE, "storm-pacemaker-py-topology", SYSTEMD_IMAGE)

BASE = "storm-pacemaker-py-stand-in-base"
PYTHON_SUITE = "trixie"
"""The release of Debian that has Python 3.13."""
JAVA_SUITE = "bookworm"
"""The release of Debian that has a JDK 17."""

HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")
PIP_CONFIG = Path("/etc/pip.conf")

DAEMON_LOG = '<File name="log" fileName="${sys:storm.log.dir}/${sys:logfile.name}">'


class StandIn(NamedTuple):
    """How one is built.

    Attributes:
        folder: of its Dockerfile, below `stand_ins`.
        needs: the images that it is made from: a base, or another stand-in.
        jars: the class path whose jars it holds as `lib`.
    """

    folder: str
    needs: str
    jars: str | None = None


def need_images(*names: str) -> None:
    """See that the engine has these images: pulled, or built where that fails."""
    need_engine()
    for name in names:
        if not _has(name) and not succeeds("docker", "pull", "--quiet", name):
            _build(name)


def remove_images() -> None:
    """Remove every image that was built here: stand-ins, and this project's own."""
    need_engine()
    marked = docker("image", "ls", "--quiet", f"--filter=label={LABEL}").split()
    built = [name for name in BUILT_IMAGES if _has(name)]
    if marked or built:
        docker("image", "rm", "--force", *built, *dict.fromkeys(marked))


def need_base(suite: str) -> str:
    """See that the engine has a base image of a release of Debian; return its name."""
    name = f"{BASE}:{suite}"
    if not _has(name):
        _build_base(name, suite)
    return name


def _has(name: str) -> bool:
    return succeeds("docker", "image", "inspect", name)


def _stand_in(name: str) -> StandIn:
    if name == STORM_IMAGE:
        return StandIn("storm", JAVA_IMAGE, storm_classpath(NEWEST_RELEASE))
    if name == ZOOKEEPER_IMAGE:
        return StandIn("zookeeper", JAVA_IMAGE, zookeeper_classpath())
    if name == JAVA_IMAGE:
        return StandIn("java", JAVA_SUITE)
    if name == PYTHON_IMAGE:
        return StandIn("python", PYTHON_SUITE)
    raise RuntimeError(f"{name}: cannot be pulled, and has no stand-in")


def _build(name: str) -> None:
    stand_in = _stand_in(name)
    if stand_in.needs in (JAVA_SUITE, PYTHON_SUITE):
        need_base(stand_in.needs)
    else:
        need_images(stand_in.needs)
    print(f"building a stand-in for {name}", file=sys.stderr)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(STAND_INS / stand_in.folder, context)
        if stand_in.jars is not None:
            shutil.copytree(Path(stand_in.jars).parent, context / "lib")
        if name == STORM_IMAGE:
            _write_log4j2(context / "log4j2")
        docker("build", f"--label={LABEL}={name}", f"--tag={name}", str(context))


def _write_log4j2(folder: Path) -> None:
    folder.mkdir()
    appenders = {"cluster.xml": DAEMON_LOG, "worker.xml": APPENDERS["worker.xml"]}
    for file, appender in appenders.items():
        (folder / file).write_text(LOG4J2.format(appender=appender, kind="File"))


def need_debootstrap(name: str) -> str:
    """Return the path of debootstrap, and see that it may be run.

    Raises:
        RuntimeError: it cannot make a base image here.
    """
    found = shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(
            f"{name} is made by debootstrap, which is not installed:"
            " apt-get install debootstrap"
        )
    if os.geteuid() != 0:
        raise RuntimeError(f"{name} is made by debootstrap, which needs root")
    return found


def _build_base(name: str, suite: str) -> None:
    """Make a smallest Debian, which installs packages as this host does."""
    debootstrap = need_debootstrap(name)
    print(f"building {name}", file=sys.stderr)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
        root = Path(folder) / "root"
        run(
            [
                debootstrap,
                "--variant=minbase",
                "--include=ca-certificates",
                suite,
                str(root),
                _debian_archive(),
            ]
        )
        _configure(root)
        shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
        shutil.rmtree(root / "var" / "lib" / "apt" / "lists")
        tar = ["tar", f"--directory={root}", "--create", "--numeric-owner", "."]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
            subprocess.run(
                ["docker", "import", f"--change=LABEL {LABEL}={name}", "-", name],
                stdin=packing.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        if packing.returncode:
            raise RuntimeError(f"tar ended with {packing.returncode}")


def _debian_archive() -> str:
    """Return where this host has its packages from."""
    listed = run(
        [
            "apt-get",
            "indextargets",
            "--format=$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
        ]
    ).split()
    if not listed:
        raise RuntimeError("this host has no archive of Debian's among its apt sources")
    return listed[0]


def _configure(root: Path) -> None:
    """Give a new root the host's settings for packages, and its own certificates."""
    settings = [
        line
        for line in run(["apt-config", "dump"]).splitlines()
        if line.startswith("Acquire::")
    ]
    config = root / "etc" / "apt" / "apt.conf.d" / "90host"
    config.write_text("\n".join(settings) + "\n")
    if PIP_CONFIG.exists():
        shutil.copy(PIP_CONFIG, root / "etc")
    if HOST_CERTIFICATES.is_dir():
        target = root / HOST_CERTIFICATES.relative_to("/")
        shutil.copytree(HOST_CERTIFICATES, target, dirs_exist_ok=True)
        run(["chroot", str(root), "update-ca-certificates"])


def main() -> None:
    """Build what is missing, or remove what was built."""
    try:
        if sys.argv[1:] == ["remove"]:
            remove_images()
        else:
            need_images(PYTHON_IMAGE, JAVA_IMAGE, STORM_IMAGE, ZOOKEEPER_IMAGE)
    except (RuntimeError, pytest.skip.Exception) as exc:
        sys.exit(f"Error: {exc}")


if __name__ == "__main__":
    main()
