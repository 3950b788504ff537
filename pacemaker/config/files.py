"""Find and read Storm's configuration files: the environment and the disk.

If a file is absent the defaults apply, and these authenticate nobody.  So a file
counts as absent only if that is certain: a folder that may not be entered, a dangling
link or an I/O error stops the start.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pacemaker.config.layers import Layer, Note
from pacemaker.config.yaml_reader import MAX_CHARACTERS, parse_yaml
from pacemaker.errors import ConfigError

STORM_YAML: Final = "storm.yaml"
STORM_ENV: Final = "storm-env.sh"
CONF_DIR_VARIABLE: Final = "STORM_CONF_DIR"

# Where packages put Storm's configuration.  It is tried last, because Storm's own
# launcher does not know it, and the folder that Storm uses on this host must win.
SYSTEM_FOLDER: Final = Path("/etc/storm")

_MAX_FILE_BYTES: Final = 4 * MAX_CHARACTERS

_MAX_LINES_SHOWN: Final = 3

_CONF_DIR_LINE: Final = re.compile(
    r"^\s*(?:export\s+)?STORM_CONF_DIR=(.*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class ConfFolder:
    """The conf folder, or the places that were searched for one.

    Attributes:
        path: the folder; None if there is none.
        looked_for: the files that were tried, each with the reason for trying it.

    """

    path: Path | None
    looked_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One configuration file.

    Attributes:
        path: its name.
        layer: its contents.
        notes: hints about it for the user.

    """

    path: Path
    layer: Layer
    notes: tuple[Note, ...]


def find_conf_folder(environ: Mapping[str, str]) -> ConfFolder:
    """Find the conf folder as Storm's launcher does.

    If STORM_CONF_DIR is set, only that folder counts.  Otherwise it is the first of
    these that exists:

    * conf in STORM_HOME (unknown to Storm itself, but often set);
    * conf beside the bin of the `storm` on the PATH, with symbolic links resolved;
    * /etc/storm.

    If that folder's storm-env.sh sets STORM_CONF_DIR, the folder it names is used
    instead, as in the launcher.

    Args:
        environ: the environment's variables.

    Raises:
        ConfigError: STORM_CONF_DIR names no folder, or it cannot be determined
            whether a folder exists.

    """
    looked_for: list[str] = []
    for path, reason in _candidates(environ):
        looked_for.append(f"{path / STORM_YAML}{reason and f' ({reason})'}")
        if _is_folder(path, reason):
            return _followed(path) or ConfFolder(path, tuple(looked_for))
        if reason == CONF_DIR_VARIABLE:
            raise ConfigError("there is no such folder", source=f"{reason}={path}")
    return ConfFolder(None, tuple(looked_for))


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    if named := environ.get(CONF_DIR_VARIABLE):
        yield Path(named), CONF_DIR_VARIABLE
        return
    if home := environ.get("STORM_HOME"):
        yield Path(home, "conf"), "STORM_HOME"
    if launcher := shutil.which("storm", path=environ.get("PATH", os.defpath)):
        yield Path(launcher).resolve().parent.parent / "conf", "storm on the PATH"
    yield SYSTEM_FOLDER, ""


def _is_folder(path: Path, reason: str) -> bool:
    """Return whether a folder exists; raise if something else is in its place."""
    source = f"{path} ({reason})" if reason else str(path)
    try:
        # Not is_dir(): it reports a loop of links as absent and, in some releases of
        # Python, also a folder that may not be entered.
        mode = path.stat().st_mode
    except FileNotFoundError:
        _refuse_dangling(path)
        return False
    except OSError as exc:
        raise _unreadable(exc, source) from exc
    if not stat.S_ISDIR(mode):
        raise ConfigError("must be a folder", source=source)
    return True


def _refuse_dangling(path: Path) -> None:
    """Raise if the path is absent because of a dangling link on the way to it."""
    for link in (path, *path.parents):
        if link.is_symlink() and not link.exists():
            target = os.readlink(link)  # noqa: PTH115 - as written, not normalised
            problem = f"is a link to {target}, which does not exist"
            raise ConfigError(problem, source=str(link))


def _unreadable(exc: OSError, source: str) -> ConfigError:
    reason = exc.strerror or str(exc)
    if exc.errno in (errno.EACCES, errno.EPERM):
        reason += f" for the user with uid {os.geteuid()}"
    return ConfigError(f"cannot be read: {reason}", source=source)


def _followed(path: Path) -> ConfFolder | None:
    """Return the folder that a folder's storm-env.sh names, if it names one."""
    script = path / STORM_ENV
    content = _read_bytes(script)
    named = conf_dir_of_storm_env((content or b"").decode("utf-8", "replace"))
    if not named:
        return None
    if not _is_folder(Path(named), f"{CONF_DIR_VARIABLE} in {script}"):
        source = f"{script}: {CONF_DIR_VARIABLE}={named}"
        raise ConfigError("there is no such folder", source=source)
    return ConfFolder(Path(named), (f"{Path(named) / STORM_YAML} ({script})",))


def conf_dir_of_storm_env(script: str) -> str | None:
    """Return the value that a storm-env.sh assigns to STORM_CONF_DIR.

    The script is not run: an assignment counts if its value is a plain word.

    Returns:
        None if there is no assignment, or only a shell can evaluate it.

    """
    assigned = _CONF_DIR_LINE.findall(script)
    if not assigned:
        return None
    try:
        words = shlex.split(assigned[-1], comments=True)
    except ValueError:
        return None
    plain = len(words) == 1 and not set("$`;&|") & set(words[0])
    return words[0] if plain and words[0] else None


def read_storm_yaml(folder: Path) -> ConfigFile | None:
    """Read storm.yaml in the conf folder; None if there is none.

    Raises:
        ConfigError: it cannot be read.

    """
    return _read(folder / STORM_YAML)


def read_named_file(name: str, folder: Path | None) -> ConfigFile:
    """Read the file of ``--config``, looked up in the conf folder first.

    Raises:
        ConfigError: the file is absent, empty or cannot be read.

    """
    paths = [Path(name)]
    if folder is not None and not paths[0].is_absolute():
        paths.insert(0, folder / name)
    for path in paths:
        read = _read(path)
        if read is not None:
            if not read.layer.values:
                raise ConfigError("holds no configuration", source=str(path))
            return read
    where = " nor ".join(str(path) for path in paths)
    raise ConfigError(f"there is no file {where}", source=f"--config {name}")


def _read(path: Path) -> ConfigFile | None:
    content = _read_bytes(path)
    if content is None:
        return None
    text, notes = _decoded(content, str(path))
    return ConfigFile(path, Layer(str(path), parse_yaml(text, str(path))), notes)


def _read_bytes(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            # Bounded, because the name may be that of a device.
            content = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        _refuse_dangling(path)
        return None
    except OSError as exc:
        raise _unreadable(exc, str(path)) from exc
    if len(content) > _MAX_FILE_BYTES:
        raise ConfigError(f"is larger than {_MAX_FILE_BYTES} bytes", source=str(path))
    return content


def _decoded(content: bytes, source: str) -> tuple[str, tuple[Note, ...]]:
    """Decode UTF-8, replacing each invalid byte with U+FFFD, as the JVM does.

    Such bytes do no harm in a comment or in a value that is not used here.  The checks
    of the values that are used refuse U+FFFD.
    """
    if (
        content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        or b"\0" in content
    ):
        raise ConfigError("must be UTF-8, not UTF-16 or UTF-32", source=source)
    text = content.decode("utf-8", "replace")
    if "\ufffd" not in text:
        return text, ()
    wrong = [
        str(number)
        for number, line in enumerate(content.split(b"\n"), 1)
        if not _is_utf_8(line)
    ]
    if not wrong:
        return text, ()
    shown = ", ".join(wrong[:_MAX_LINES_SHOWN])
    more = " and more" if len(wrong) > _MAX_LINES_SHOWN else ""
    return text, (Note(f"{source}: not UTF-8, in line {shown}{more}", is_warning=True),)


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
