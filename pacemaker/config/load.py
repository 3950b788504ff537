"""Read the configuration: find the files, merge the layers, report what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from pacemaker.config.files import (
    ConfigFile,
    find_conf_folder,
    read_named_file,
    read_storm_yaml,
)
from pacemaker.config.layers import Configuration, Note, merge, option_layers


def load_configuration(
    environ: Mapping[str, str],
    *,
    config_file: str | None = None,
    options: Sequence[str] = (),
) -> Configuration:
    """Read Storm's configuration as Storm's own daemons read it.

    Args:
        environ: the environment's variables.
        config_file: the file of ``--config``, read instead of storm.yaml.
        options: the items of ``-c``, each KEY=VALUE; later ones win.

    Raises:
        ConfigError: a file or folder cannot be read, or a value is not allowed.

    """
    layers, option_notes = option_layers(options)
    read, notes = _read(environ, config_file)
    if read is not None:
        layers.insert(0, read.layer)
    merged = merge(layers)
    return dataclasses.replace(
        merged,
        notes=(*notes, *option_notes, *merged.notes),
        files_read=() if read is None else (read.path,),
    )


def _read(
    environ: Mapping[str, str], config_file: str | None
) -> tuple[ConfigFile | None, tuple[Note, ...]]:
    if config_file:
        # An absolute name needs no conf folder, so errors in that one do not matter.
        is_absolute = Path(config_file).is_absolute()
        named = read_named_file(
            config_file, None if is_absolute else find_conf_folder(environ).path
        )
        return named, named.notes
    folder = find_conf_folder(environ)
    read = None if folder.path is None else read_storm_yaml(folder.path)
    return read, (_not_found(folder.looked_for),) if read is None else read.notes


def _not_found(looked_for: tuple[str, ...]) -> Note:
    where = ", ".join(looked_for)
    return Note(f"no storm.yaml found; tried {where}", is_warning=True)
