"""The packages for Debian, Ubuntu and RPM: names, dependencies, places and contents."""

from __future__ import annotations

import configparser
import subprocess
from email.message import Message
from pathlib import Path

import pytest

from release import package
from release.package import SUITES
from tests.release.conftest import EPOCH, ROOT


@pytest.mark.parametrize(
    ("version", "written"),
    [("1.2.0", "1.2.0"), ("1.2.0rc1", "1.2.0~rc1"), ("1.2.0.dev3", "1.2.0~dev3")],
)
def test_release_sorts_after_its_candidates(version: str, written: str) -> None:
    """In the packages' order a tilde comes before the end."""
    assert package.package_version(version) == written


@pytest.mark.parametrize("name", [n for n, s in SUITES.items() if s.kind == "deb"])
def test_package_needs_the_python_that_it_is_built_for(name: str) -> None:
    """The compiled modules load into one release of Python, and no other is taken."""
    suite = SUITES[name]
    depends = package.description(Path("/x"), suite, "x86_64", EPOCH)["depends"]
    assert f"python3 (>= 3.{suite.python[1]})" in depends
    assert f"python3 (<< 3.{suite.python[1] + 1})" in depends


def test_upgrade_of_the_distribution_upgrades_the_package() -> None:
    """A newer release of the same distribution has the higher version."""
    assert SUITES["bookworm"].label < SUITES["trixie"].label
    assert SUITES["jammy"].label < SUITES["noble"].label


def test_same_description_serves_both_kinds() -> None:
    """The RPM has the same scripts, file and texts as the Debian packages."""
    debian, rpm = (
        package.description(Path("/x"), SUITES[name], "aarch64", EPOCH)
        for name in ("trixie", "el9")
    )
    for part in ("scripts", "contents", "description", "version"):
        assert debian[part] == rpm[part]
    assert rpm["arch"] == "arm64"
    assert rpm["depends"][0] == "python3.12"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"License-Expression": "Apache-2.0"}, "Apache-2.0"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "Apache License, Version 2.0"}, "Apache-2.0"),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({}, "unknown"),
    ],
)
def test_licence_is_one_word(fields: dict[str, str], word: str) -> None:
    """Packages name licences in several ways; a copyright file has words."""
    about = Message()
    for name, value in fields.items():
        about[name] = value
    assert package._licence(about) == word


def test_environment_has_no_path_of_this_machine(tmp_path: Path) -> None:
    """The interpreter is the system's, and the program runs below /usr/lib."""
    home = tmp_path / package.HOME
    home.mkdir(parents=True)
    package._environment(tmp_path, SUITES["trixie"])
    assert (home / "bin/python3").readlink() == Path("../../../bin/python3.13")
    program = (home / "bin/storm-pacemaker-py").read_text()
    assert program.startswith("#!/usr/lib/storm-pacemaker-py/bin/python3\n")
    config = configparser.ConfigParser()
    config.read_string("[venv]\n" + (home / "pyvenv.cfg").read_text())
    assert config["venv"]["home"] == "/usr/bin"


@pytest.mark.parametrize("name", ["postinstall", "preremove", "postremove"])
@pytest.mark.io
def test_scripts_are_those_of_any_shell(name: str) -> None:
    """Debian's sh is not bash: the scripts parse, and begin with its line."""
    script = ROOT / "release" / "package" / name
    assert script.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", script], check=True)


def test_unit_reads_the_file_of_options() -> None:
    """What the package puts into /etc/default reaches the daemon."""
    unit = (ROOT / "systemd" / "storm-pacemaker-py.service").read_text()
    assert "\nEnvironmentFile=-/etc/default/storm-pacemaker-py\n" in unit
    options = (ROOT / "release" / "package" / "default").read_text()
    assert "\nSTORM_CONF_DIR=/etc/storm\n" in options
