"""The source distribution, and the wheel made of it, away from the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.real.daemons import Served
from tests.real.jvm import ROOT
from tests.wire.by_hand import Type, Wire, ack, path_request, pulse_reply, send_pulse

pytestmark = pytest.mark.real

TIMEOUT_S = 300
NOT_COPIED = shutil.ignore_patterns(".[!d]*", "build", "dist", "*.egg-info")


def run(*argv: str | Path, cwd: Path) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both from a copy, so that the source tree stays as it is."""
    folder = tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=NOT_COPIED)
    # Without --sdist or --wheel, the wheel is made of the source distribution.
    run(sys.executable, "-m", "build", "source", cwd=folder)
    return folder / "source" / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """Return the wheel."""
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the source distribution."""
    (built,) = dist.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


@pytest.fixture(scope="module")
def bin_dir(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment and return its programs."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    programs = folder / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return programs


def test_wheel_holds_the_package_and_its_idl(wheel: Path) -> None:
    """The wheel has `pacemaker` with its IDL and types marker, and nothing beside."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {
        "pacemaker"
    }
    assert {"pacemaker/thrift/pacemaker.thrift", "pacemaker/py.typed"} <= set(names)


def test_wheel_names_licence_and_author(wheel: Path) -> None:
    """The metadata have an SPDX expression, an author, and no link into a tree."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Author"]
    assert "](" not in metadata.get_payload()


def test_source_distribution_is_whole(unpacked: Path) -> None:
    """It has what the wheel cannot carry, and what a reader and a tester need."""
    for name in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "Makefile",
        "docker-compose.yml",
        "docs/systemd.md",
        "systemd/storm-pacemaker-py.service",
        "tools/setup",
        "thrift/pacemaker.thrift",
    ):
        assert (unpacked / name).is_file(), name


def test_source_distribution_runs_its_tests(unpacked: Path) -> None:
    """Tests pass in it, of the code that is in it."""
    chosen = [
        "tests/wire/test_frames.py",
        "tests/wire/test_idl.py",
        "tests/client/test_docs.py",
    ]
    said = run(
        *(sys.executable, "-m", "pytest", "-m", "not real", "-p", "no:cacheprovider"),
        *chosen,
        cwd=unpacked,
    )
    assert "passed" in said
    look = "import pacemaker; print(pacemaker.__file__)"
    assert run(sys.executable, "-c", look, cwd=unpacked).startswith(str(unpacked))


def test_wheel_installs_no_module_thrift(bin_dir: Path) -> None:
    """The name `thrift` is left to Apache's package."""
    look = "import importlib.util as u; print(u.find_spec('thrift'))"
    assert run(bin_dir / "python", "-c", look, cwd=bin_dir) == "None\n"


def test_installed_daemon_serves_a_pulse(bin_dir: Path) -> None:
    """The installed program serves, outside the source tree."""
    program = str(bin_dir / "storm-pacemaker-py")
    place = ["--bind", "127.0.0.1", "-c", "pacemaker.port=0"]
    with Served([program, "serve", *place], cwd=bin_dir) as daemon:
        with Wire(daemon.address) as connection:
            reply = connection.ask(send_pulse("/a", b"xy", 5))
            assert reply == ack(Type.SEND_PULSE_RESPONSE, 5)
            reply = connection.ask(path_request(Type.GET_PULSE, "/a", 7))
            assert reply == pulse_reply("/a", b"xy", 7)
        assert daemon.stop() == 0
