"""Where Storm's configuration is: the thin edge to the environment and the disk."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pacemaker.config.layers import Layer
from pacemaker.config.yaml_reader import MAX_CHARACTERS, parse_yaml
from pacemaker.errors import ConfigError

STORM_YAML = "storm.yaml"
STORM_ENV = "storm-env.sh"
CONF_DIR_VARIABLE = "STORM_CONF_DIR"

_MAX_FILE_BYTES = 4 * MAX_CHARACTERS

_CONF_DIR_LINE = re.compile(r"^\s*(?:export\s+)?STORM_CONF_DIR=(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ConfFolder:
    """The folder of the configuration, or where one was looked for in vain.

    Attributes:
        path: the folder; None where there is none.
        looked_for: what was looked at, each with the reason for it.

    """

    path: Path | None
    looked_for: tuple[str, ...]


def find_conf_folder(environ: Mapping[str, str]) -> ConfFolder:
    """Find the conf folder as Storm's launcher does.

    STORM_CONF_DIR alone counts where it is set.  Else it is the first that exists
    of conf in STORM_HOME (unknown to Storm itself, but often set) and conf beside
    the bin of the `storm` on the PATH, symbolic links resolved.  What that folder's
    storm-env.sh sets STORM_CONF_DIR to replaces it, as it does in the launcher.

    Args:
        environ: the environment's variables.

    """
    candidates = list(_candidates(environ))
    looked_for = tuple(f"{path} ({reason})" for path, reason in candidates)
    for path, reason in candidates:
        if reason == CONF_DIR_VARIABLE or os.path.isdir(path):  # noqa: PTH112 - no raise
            return _followed(path) or ConfFolder(path, looked_for)
    return ConfFolder(None, looked_for or (f"{CONF_DIR_VARIABLE}, STORM_HOME, PATH",))


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    if named := environ.get(CONF_DIR_VARIABLE):
        yield Path(named), CONF_DIR_VARIABLE
        return
    if home := environ.get("STORM_HOME"):
        yield Path(home, "conf"), "STORM_HOME"
    if launcher := shutil.which("storm", path=environ.get("PATH", os.defpath)):
        yield Path(launcher).resolve().parent.parent / "conf", "storm on the PATH"


def _followed(path: Path) -> ConfFolder | None:
    script = path / STORM_ENV
    try:
        named = conf_dir_of_storm_env(script.read_text("utf-8", "replace"))
    except OSError:
        return None
    return ConfFolder(Path(named), (f"{named} ({script})",)) if named else None


def conf_dir_of_storm_env(script: str) -> str | None:
    """Return what a storm-env.sh sets STORM_CONF_DIR to.

    The script is not run: an assignment counts if its value is a plain word.

    Returns:
        None where it sets nothing, or something that only a shell can tell.

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


def read_storm_yaml(folder: Path) -> tuple[Path, Layer] | None:
    """Read storm.yaml in the conf folder; None where there is none.

    Raises:
        ConfigError: it cannot be read.

    """
    path = folder / STORM_YAML
    text = _read_text(path)
    return (
        None if text is None else (path, Layer(str(path), parse_yaml(text, str(path))))
    )


def read_named_file(name: str, folder: Path | None) -> tuple[Path, Layer]:
    """Read the file of ``--config``, looked up in the conf folder first.

    Raises:
        ConfigError: there is none, it cannot be read, or it holds nothing.

    """
    paths = [Path(name)]
    if folder is not None and not paths[0].is_absolute():
        paths.insert(0, folder / name)
    for path in paths:
        text = _read_text(path)
        if text is not None:
            values = parse_yaml(text, str(path))
            if not values:
                raise ConfigError("holds no configuration", source=str(path))
            return path, Layer(str(path), values)
    where = " nor ".join(str(path) for path in paths)
    raise ConfigError(f"there is no file {where}", source=f"--config {name}")


def _read_text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            # Bounded: the name may be that of a device.
            content = file.read(_MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise ConfigError(f"cannot be read: {reason}", source=str(path)) from exc
    if len(content) > _MAX_FILE_BYTES:
        raise ConfigError(f"is larger than {_MAX_FILE_BYTES} bytes", source=str(path))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise ConfigError("is not UTF-8", source=f"{path}, line {line}") from exc
