"""Build packages for Debian, Ubuntu and RPM: a virtual environment below /usr/lib.

    python -m release.package FOLDER [SUITE ...]

FOLDER contains the wheel; the packages are written there too.  The environment for each
suite's Python is assembled from wheels, so neither root nor a system of that suite is
needed.  (dh-virtualenv needs both, and builds one suite at a time.)
"""

from __future__ import annotations

import email.utils
import gzip
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from pacemaker._version import __version__
from release import sbom
from release.dist import ROOT, ReleaseError, run, source_date, write_checksums

NAME: Final = "storm-pacemaker-py"
SCRIPTS: Final = ROOT / "release" / "package"
HOME: Final = Path("usr/lib", NAME)
MAINTAINER: Final = (
    "The storm-pacemaker-py authors <maintainers@storm-pacemaker-py.invalid>"
)
REVISION: Final = os.environ.get("PACKAGE_REVISION", "1")
"""The package's revision: increase it to package the same version again."""


class Suite(NamedTuple):
    """A release of a distribution.

    Attributes:
        python: the version of its Python.
        label: the suffix of the package's version.  It grows from one release of the
            distribution to the next, so that an upgrade of the distribution also
            upgrades the package.
        kind: ``deb`` or ``rpm``.
        python_package: the package that contains that Python.
    """

    python: tuple[int, int]
    label: str
    kind: str = "deb"
    python_package: str = "python3"

    @property
    def python_name(self) -> str:
        """The name of the interpreter, as in ``python3.11``."""
        return "python{}.{}".format(*self.python)


SUITES: Final = {
    "bookworm": Suite((3, 11), "~deb12"),
    "trixie": Suite((3, 13), "~deb13"),
    "jammy": Suite((3, 10), "~ubuntu22.04"),
    "noble": Suite((3, 12), "~ubuntu24.04"),
    "el9": Suite((3, 12), ".el9", "rpm", "python3.12"),
}

# From Python's names of architectures to Debian's.
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}

# Files that are not used, or that contain a copy of one of the distribution's
# libraries.
LEFT_OUT: Final = (
    *("kazoo/tests", "bin", "share", "thriftpy2/**/*.pyx", "thriftpy2/**/*.c"),
    # Copies of libyaml and libyajl; PyYAML and ijson work without them.
    *("yaml/_yaml*.so", "_yaml"),
    *("ijson/backends/_yajl2*.so", "ijson.libs"),
    # The path of the wheel at build time, and traces of pip.
    *("*.dist-info/direct_url.json", "*.dist-info/REQUESTED"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER"),
)


def package_version(version: str) -> str:
    """Return a version as packages write it: ``~`` makes it sort before the release.

    >>> package_version("1.2.0rc1")
    '1.2.0~rc1'
    """
    return re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", version).replace("+", ".")


def fill_site_packages(
    target: Path, wheel: Path, python: tuple[int, int], machine: str
) -> None:
    """Install the wheel and its dependencies for a given Python and architecture."""
    platforms = [
        f"--platform=manylinux{kind}_{machine}" for kind in ("2014", "_2_17", "_2_28")
    ]
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
        *("--disable-pip-version-check", "--only-binary=:all:", *platforms),
        *(f"--python-version={python[0]}.{python[1]}", f"--target={target}"),
        f"{wheel}[zstd,metrics]",
    )


def strip(folder: Path, machine: str) -> None:
    """Remove the symbols from the libraries in wheels, as distributions do.

    Raises:
        ReleaseError: the tool for that architecture is missing.
    """
    own = machine == platform.machine()
    tool = shutil.which("strip" if own else f"{machine}-linux-gnu-strip")
    if tool is None:
        package = "binutils" + ("" if own else f"-{machine}-linux-gnu")
        raise ReleaseError(
            f"strip for {machine} is missing: Debian's package {package}"
        )
    for library in folder.rglob("*.so*"):
        run(tool, "--strip-unneeded", library)


def stage(root: Path, wheel: Path, suite: Suite, machine: str, epoch: int) -> None:
    """Lay out the files of a package below a folder."""
    site = root / HOME / "lib" / suite.python_name / "site-packages"
    fill_site_packages(site, wheel, suite.python, machine)
    _place_share(site / "share", root, suite.kind)
    for pattern in LEFT_OUT:
        for path in list(site.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    strip(site, machine)
    _environment(root, suite)
    _documents(root, site, suite, epoch)
    programs = (root / HOME / "bin", root / "usr/share" / NAME / "storm-pacemaker")
    for path in root.rglob("*"):
        if not path.is_symlink():
            is_program = path.is_dir() or path.parent in programs
            path.chmod(0o755 if is_program else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _environment(root: Path, suite: Suite) -> None:
    """Write what `python -m venv` would write, but without paths of this machine."""
    (root / HOME / "bin").mkdir()
    (root / HOME / "bin" / "python3").symlink_to(f"../../../bin/{suite.python_name}")
    # The distribution's packages are visible too, so `apt install python3-gssapi` is
    # enough for KERBEROS.  gssapi cannot be included: it has no wheel for Linux.
    (root / HOME / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = true\n"
    )
    program = root / HOME / "bin" / NAME
    program.write_text(
        f"#!/{HOME}/bin/python3\n"
        "from pacemaker.__main__ import run\n\n"
        'if __name__ == "__main__":\n    run()\n'
    )
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / NAME).symlink_to(f"../lib/{NAME}/bin/{NAME}")


def _place_share(share: Path, root: Path, kind: str) -> None:
    """Move the wheel's files below share to where the distribution expects them."""
    for page in share.glob("man/*/*"):
        target = root / "usr/share/man" / page.parent.name / f"{page.name}.gz"
        _write_gzip(target, page.read_bytes())
    zsh = "vendor-completions" if kind == "deb" else "site-functions"
    for source, place in (
        ("bash-completion/completions", "share/bash-completion/completions"),
        ("fish/vendor_completions.d", "share/fish/vendor_completions.d"),
        ("zsh/site-functions", f"share/zsh/{zsh}"),
    ):
        shutil.copytree(share / source, root / "usr" / place)
    for unit in (share / NAME / "systemd").iterdir():
        if unit.suffix == ".sysusers":
            target = root / "usr/lib/sysusers.d" / f"{NAME}.conf"
        else:
            target = root / "usr/lib/systemd/system" / unit.name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = unit.read_text().replace(f"/opt/{NAME}/bin/{NAME}", f"/usr/bin/{NAME}")
        target.write_text(text)
    others = [f for f in (share / NAME).iterdir() if f.name != "systemd"]
    for folder in others:
        shutil.copytree(folder, root / "usr/share" / NAME / folder.name)


def _write_gzip(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Level 9 and no time, as Debian's policy requires.
    target.write_bytes(gzip.compress(content, 9, mtime=0))


def _documents(root: Path, site: Path, suite: Suite, epoch: int) -> None:
    folder = root / "usr/share/doc" / NAME
    year = datetime.fromtimestamp(epoch, timezone.utc).year
    changes = (ROOT / "CHANGELOG.md").read_bytes()
    _write_gzip(folder / "changelog.gz", changes)
    (folder / "copyright").write_text("\n".join(_copyright(site, year)))
    if suite.kind == "deb":
        _write_gzip(folder / "changelog.Debian.gz", _debian_changes(suite, epoch))
        overrides = root / "usr/share/lintian/overrides" / NAME
        overrides.parent.mkdir(parents=True)
        shutil.copyfile(SCRIPTS / "lintian-overrides", overrides)


def _debian_changes(suite: Suite, epoch: int) -> bytes:
    version = f"{package_version(__version__)}-{REVISION}{suite.label}"
    return (
        f"{NAME} ({version}) unstable; urgency=medium\n\n"
        f"  * Release {__version__}: changelog.gz says what is new.\n\n"
        f" -- {MAINTAINER}  {email.utils.formatdate(epoch)}\n"
    ).encode()


def _copyright(site: Path, year: int) -> Iterator[str]:
    """Yield a machine-readable copyright file that covers every included package."""
    yield "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    yield f"Upstream-Name: {NAME}"
    yield from ("", "Files: *", f"Copyright: {year} the authors")
    yield "License: Apache-2.0"
    licences = {}
    for metadata in sorted(site.glob("*.dist-info/METADATA")):
        about = Parser().parsestr(metadata.read_text())
        if about["Name"] == NAME:
            continue
        licence = _licence(about)
        licences[licence] = metadata.parent.name
        where = f"/{HOME}/lib/*/site-packages/{metadata.parent.name}"
        author = about["Author"] or about["Author-Email"] or about["Name"]
        author = " ".join(author.split())
        yield from ("", f"Files: {where}/*", f"Copyright: {author}")
        yield f"License: {licence}"
    yield from ("", "License: Apache-2.0")
    yield " On Debian systems its text is in /usr/share/common-licenses/Apache-2.0."
    for licence, folder in sorted(licences.items()):
        if licence != "Apache-2.0":
            yield from ("", f"License: {licence}")
            yield f" The text came with the package and is in its folder, as {folder}."
    yield ""


def _licence(about: Message) -> str:
    """Return the licence of a Python package as one word."""
    named = about["License-Expression"] or about["License"] or ""
    if not named or "\n" in named:
        ours = [c for c in about.get_all("Classifier", []) if c.startswith("License")]
        named = ours[-1].rpartition(" :: ")[2] if ours else "unknown"
    shorter = re.sub(r"\s*(Software )?License(, Version)?\s*", " ", named).strip()
    word = re.sub(r"[^\w.+-]+", "-", shorter).strip("-")
    return {"Apache-2": "Apache-2.0", "Apache": "Apache-2.0"}.get(word, word)


def description(root: Path, suite: Suite, machine: str, epoch: int) -> dict[str, Any]:
    """Return the package's description for nfpm, which builds both deb and rpm."""
    low, high = (f"{suite.python[0]}.{suite.python[1] + n}" for n in (0, 1))
    if suite.kind == "deb":
        depends = [f"python3 (>= {low})", f"python3 (<< {high})", "libc6 (>= 2.28)"]
        depends += ["systemd | systemd-standalone-sysusers", "passwd"]
    else:
        depends = [suite.python_package, "systemd", "shadow-utils"]
    return {
        "name": NAME,
        "arch": ARCHITECTURES[machine],
        "platform": "linux",
        "version": package_version(__version__),
        "version_schema": "none",
        "release": f"{REVISION}{suite.label}",
        "section": "net",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "homepage": "https://storm.apache.org/releases/2.8.3/Pacemaker.html",
        "license": "Apache-2.0",
        "mtime": datetime.fromtimestamp(epoch, timezone.utc).isoformat(),
        "description": (SCRIPTS / "description").read_text(),
        "depends": depends,
        "recommends": [],
        "suggests": ["python3-gssapi"] if suite.kind == "deb" else [],
        "contents": [
            {"src": f"{root}/", "dst": "/", "type": "tree"},
            {
                "src": str(SCRIPTS / "default"),
                "dst": f"/etc/default/{NAME}",
                "type": "config|noreplace",
                "file_info": {"mode": 0o644},
            },
        ],
        "scripts": {
            name: str(SCRIPTS / name)
            for name in ("postinstall", "preremove", "postremove")
        },
        "deb": {"compression": "xz"},
    }


def build(folder: Path, wheel: Path, name: str, machine: str) -> Path:
    """Build the package of one suite; return the file."""
    suite, epoch = SUITES[name], source_date()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        stage(root, wheel, suite, machine, epoch)
        config = Path(scratch) / "nfpm.yaml"
        config.write_text(yaml.safe_dump(description(root, suite, machine, epoch)))
        target = folder / _file_name(suite, machine)
        nfpm = Path(sys.executable).with_name("nfpm")
        run(
            *(nfpm, "package", f"--config={config}", f"--packager={suite.kind}"),
            f"--target={target}",
            epoch=epoch,
        )
    return target


def _file_name(suite: Suite, machine: str) -> str:
    version = f"{package_version(__version__)}-{REVISION}{suite.label}"
    if suite.kind == "deb":
        return f"{NAME}_{version}_{ARCHITECTURES[machine]}.deb"
    return f"{NAME}-{version}.{machine}.rpm"


def main(folder: Path, names: list[str], machine: str) -> None:
    """Build the packages of some suites, or of all if none is named."""
    unknown = set(names) - set(SUITES)
    if unknown:
        raise ReleaseError(
            f"{', '.join(sorted(unknown))}: no such suite; the suites are"
            f" {', '.join(SUITES)}"
        )
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ReleaseError(
            f"{folder} must contain one wheel, but has {len(wheels)}: run `make dist`"
        )
    os.umask(0o022)
    bill = sbom.read(folder / f"{wheels[0].name}.cdx.json")
    for name in names or SUITES:
        made = build(folder, wheels[0], name, machine)
        sbom.write(bill, made, folder / f"{made.name}.cdx.json")
        print(f"    {made.name}")  # noqa: T201
    write_checksums(folder)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:], os.environ.get("MACHINE", "x86_64"))
    except ReleaseError as exc:
        sys.exit(f"Error: {exc}")
