"""Try the packages on fresh systems: install, serve, upgrade, refuse, remove, purge.

    python -m release.fresh FOLDER [SUITE ...]

FOLDER contains the packages.  Each system is made by debootstrap below build/fresh,
which needs root and the distribution's archive.  It boots systemd in its own
namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from release.dist import ROOT, ReleaseError, run
from release.package import ARCHITECTURES, NAME, SUITES

HERE: Final = ROOT / "release" / "fresh_system"
SYSTEMS: Final = Path(os.environ.get("FRESH_SYSTEMS", ROOT / "build" / "fresh"))
UNITS: Final = (f"{NAME}.socket", f"{NAME}.service")
CONNECTIONS: Final = 1000
BOOT_TIMEOUT_S: Final = 120

UBUNTU: Final = ("jammy", "noble")
ARCHIVES: Final = {
    "debian": "deb.debian.org/debian",
    "ubuntu": "archive.ubuntu.com/ubuntu",
}

# Units for hardware and consoles, which belong to the host.
MASKED: Final = (
    *("getty.target", "systemd-modules-load.service", "systemd-logind.service"),
    *("systemd-remount-fs.service", "systemd-sysctl.service"),
    *("systemd-udevd.service", "systemd-udevd-control.socket"),
    "systemd-udevd-kernel.socket",
)


def make(suite: str) -> Path:
    """Return the folder of a fresh system with systemd; make it if it is missing."""
    root = SYSTEMS / suite
    if (root / "made").exists():
        return root
    root.mkdir(parents=True, exist_ok=True)
    family = "ubuntu" if suite in UBUNTU else "debian"
    archive = f"http://{ARCHIVES[family]}"
    scripts = Path("/usr/share/debootstrap/scripts")
    known = suite if (scripts / suite).exists() else "jammy"
    check = ["--no-check-gpg"] if family == "ubuntu" else []
    # Install every dependency now: once the system has booted, it has no network.
    wanted = "--include=systemd,systemd-sysv,dbus,python3"
    run(
        *("debootstrap", *check, "--variant=minbase", wanted),
        *(suite, root, archive, scripts / known),
    )
    (root / "made").touch()
    return root


class System:
    """A booted system in its own namespaces.

    Args:
        root: the folder of its files, which the system changes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for unit in MASKED:
            link = root / "etc/systemd/system" / unit
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        self._boot = subprocess.Popen(  # noqa: S603
            [HERE / "boot", root],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> System:
        try:
            wait_until(self._has_booted, BOOT_TIMEOUT_S, "the system has booted")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            # When this process ends, the kernel kills every other one in its namespace.
            os.kill(self._first(), signal.SIGKILL)
        self._boot.wait()

    def _first(self) -> int:
        """Return the process id of the system's process 1 in the host's namespace."""
        listed = Path(f"/proc/{self._boot.pid}/task/{self._boot.pid}/children")
        children = listed.read_text().split()
        if not children:
            raise ProcessLookupError
        return int(children[0])

    def _has_booted(self) -> bool:
        with contextlib.suppress(ReleaseError, ProcessLookupError):
            self.run("systemctl", "is-active", "--quiet", "multi-user.target")
            return True
        return False

    def command(self, *argv: str) -> list[str]:
        """Return the command that runs a given command inside the system."""
        inside = ("nsenter", f"--target={self._first()}", "--all")
        clean = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
        return [*inside, *clean, "DEBIAN_FRONTEND=noninteractive", *argv]

    def run(self, *argv: str) -> str:
        """Run a command as root; return its output."""
        return run(*self.command(*argv))

    def fails(self, *argv: str) -> str:
        """Run a command that has to fail; return its whole output."""
        try:
            self.run(*argv)
        except ReleaseError as exc:
            return str(exc)
        raise ReleaseError(f"{' '.join(argv)} succeeded, but should have failed")

    def files(self) -> set[str]:
        """Return the names of all files that belong to the system."""
        left_out = (
            *("./proc", "./sys", "./dev", "./run", "./tmp", "./var/log", "./var/cache"),
            *("./var/lib/apt", "./var/lib/dpkg", "./var/lib/systemd"),
        )
        listed = run("find", ".", "-xdev", cwd=self.root).splitlines()
        return {name for name in listed if not name.startswith(left_out)}


def wait_until(is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait until a condition holds.

    Raises:
        ReleaseError: the condition did not hold in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline_s:
            raise ReleaseError(f"this did not happen within {timeout_s:g} s: {what}")
        time.sleep(0.2)


def altered(package: Path, version: str, source: str, folder: Path) -> Path:
    """Return a package with a higher version, in which one module is replaced.

    Args:
        package: the original package.
        version: the suffix to add to its version.
        source: the path of the module below `pacemaker`, a line break, and the new
            contents of the module.
        folder: the folder for the new package.
    """
    name, _, text = source.partition("\n")
    tree = folder / f"tree-{version}"
    run("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines(keepends=True)
    lines = [
        f"{each.rstrip()}{version}\n" if each.startswith("Version:") else each
        for each in lines
    ]
    control.write_text("".join(lines))
    (module,) = tree.glob(f"usr/lib/{NAME}/lib/*/site-packages/pacemaker/{name}")
    module.write_text(text)
    made = folder / f"{NAME}{version}.deb"
    run("dpkg-deb", "--build", "--root-owner-group", tree, made)
    return made


class Trial:
    """The life of the package on one system, step by step.

    Args:
        system: the system.
        package: the package.
        scratch: a folder for temporary files.
    """

    def __init__(self, system: System, package: Path, scratch: Path) -> None:
        self._system = system
        self._package = package
        self._scratch = scratch

    def run(self) -> Iterator[str]:
        """Go through all steps; yield the outcome of each.

        Raises:
            ReleaseError: a step did not have the expected outcome.
        """
        system = self._system
        configuration = system.root / "etc" / "storm" / "storm.yaml"
        configuration.parent.mkdir(exist_ok=True)
        configuration.write_text("pacemaker.servers: [localhost]\n")
        before = system.files()
        self._install(self._package)
        self._check_conffile()
        yield "installed; no unit is enabled or active"
        system.run("systemctl", "enable", "--now", *UNITS)
        system.run(NAME, "ping", "--server", "127.0.0.1")
        yield "serves"
        yield self._upgrade_under_load()
        yield self._refuse_broken()
        self._remove()
        self._expect_nothing_more_than(before)
        yield "removed and purged; no file is left"

    def _install(self, package: Path) -> str:
        with self._copied(package) as path:
            return self._system.run("apt-get", "install", "-qq", "--yes", path)

    @contextlib.contextmanager
    def _copied(self, file: Path) -> Iterator[str]:
        """Copy a file into the system for the block; yield its path there."""
        target = self._system.root / "var" / "tmp" / file.name
        shutil.copy(file, target)
        try:
            yield f"/var/tmp/{file.name}"  # noqa: S108  (a system of our own)
        finally:
            target.unlink()

    def _check_conffile(self) -> None:
        for unit in UNITS:
            self._system.fails("systemctl", "is-enabled", "--quiet", unit)
            self._system.fails("systemctl", "is-active", "--quiet", unit)
        self._system.run("test", "-f", f"/etc/default/{NAME}")
        self._system.run("test", "-f", f"/usr/share/man/man8/{NAME}-serve.8.gz")

    def _main_pid(self) -> str:
        return self._system.run("systemctl", "show", "-P", "MainPID", UNITS[1]).strip()

    @contextlib.contextmanager
    def _load(self) -> Iterator[dict[str, Any]]:
        """Keep connections busy; the yielded dict has the outcome after the block."""
        python = f"/usr/lib/{NAME}/bin/python3"
        with self._copied(HERE / "load.py") as path:
            argv = self._system.command(python, path, str(CONNECTIONS))
            with subprocess.Popen(  # noqa: S603
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as load:
                assert load.stdout is not None  # noqa: S101
                seen: dict[str, Any] = {}
                if load.stdout.readline() != "connected\n":
                    raise ReleaseError("the load could not connect")
                yield seen
                seen.update(json.loads(load.communicate("stop\n")[0]))

    def _upgrade_under_load(self) -> str:
        text = '_version.py\n__version__ = "99.0"\n'
        newer = altered(self._package, "+newer", text, self._scratch)
        before = self._main_pid()
        self._system.run("sh", "-c", f"echo once | {NAME} put --server 127.0.0.1 /a/b")
        with self._load() as seen:
            self._install(newer)
        log = self._system.run("journalctl", "--output=cat", f"--unit={UNITS[1]}")
        if "upgraded to 99.0" not in log or self._main_pid() != before:
            raise ReleaseError(f"not upgraded in place:\n{log}")
        if _is_noticed(seen):
            raise ReleaseError(f"the upgrade was noticed: {seen}")
        self._system.run(NAME, "exists", "--server", "127.0.0.1", "/a/b")
        return (
            f"upgraded in place under load: {seen['answered']} pulses of"
            f" {CONNECTIONS} connections answered in {seen['rounds']} rounds, none"
            f" reset or lost; the slowest waited {seen['slowest_s']:.2f} s"
        )

    def _refuse_broken(self) -> str:
        text = "server/run.py\nraise SystemError('broken on purpose')\n"
        broken = altered(self._package, "+newest", text, self._scratch)
        before = self._main_pid()
        with self._load() as seen, self._copied(broken) as path:
            told = self._system.fails("apt-get", "install", "-qq", "--yes", path)
        if "the old version continues to serve" not in told:
            raise ReleaseError(f"refused without saying so:\n{told}")
        if _is_noticed(seen) or self._main_pid() != before:
            raise ReleaseError(f"the old daemon did not continue to serve: {seen}")
        return (
            "a broken build was refused, and the old daemon answered"
            f" {seen['answered']} pulses, and lost none"
        )

    def _remove(self) -> None:
        self._system.run("apt-get", "remove", "-qq", "--yes", NAME)
        self._system.fails("systemctl", "is-active", "--quiet", UNITS[0])
        self._system.run("apt-get", "purge", "-qq", "--yes", NAME)

    def _expect_nothing_more_than(self, before: set[str]) -> None:
        left = sorted(self._system.files() - before)
        if left:
            raise ReleaseError(f"left after purge: {', '.join(left[:20])}")
        self._system.fails("getent", "passwd", "storm-pacemaker")
        listed = self._system.run("systemctl", "list-unit-files", "--no-legend")
        if NAME in listed:
            raise ReleaseError("systemd still has a unit after the purge")


def _is_noticed(seen: dict[str, Any]) -> bool:
    """Return whether the load has seen anything but answers."""
    return any(seen[outcome] for outcome in ("unanswered", "broken", "lost"))


def main(folder: Path, names: list[str]) -> None:
    """Try the packages of some suites, or of all Debians and Ubuntus."""
    machine = ARCHITECTURES[platform.machine()]
    for name in names or [each for each, s in SUITES.items() if s.kind == "deb"]:
        packages = sorted(folder.glob(f"{NAME}_*{SUITES[name].label}_{machine}.deb"))
        if len(packages) != 1:
            raise ReleaseError(f"{folder} has no package for {name}: `make deb` first")
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "root"
            run("cp", "--archive", "--reflink=auto", make(name), root)
            with System(root) as system:
                _try(system, packages[0], Path(scratch), name)


def _try(system: System, package: Path, scratch: Path, name: str) -> None:
    try:
        for seen in Trial(system, package, scratch).run():
            print(f"    {name}: {seen}", flush=True)  # noqa: T201
    except ReleaseError as exc:
        log = system.run("journalctl", "--no-pager", "--lines=30")
        raise ReleaseError(f"{name}: {exc}\nThe end of the journal:\n{log}") from exc


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except ReleaseError as exc:
        sys.exit(f"Error: {exc}")
