"""Read the configuration: find the files, lay the layers, say what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from pacemaker.config.files import find_conf_folder, read_named_file, read_storm_yaml
from pacemaker.config.layers import Configuration, Layer, Note, merge, option_layers


def load_configuration(
    environ: Mapping[str, str],
    *,
    config_file: str | None = None,
    options: Sequence[str] = (),
) -> Configuration:
    """Read Storm's configuration as Storm's own daemons read it.

    Args:
        environ: the environment's variables.
        config_file: the file of ``--config``, read in the place of storm.yaml.
        options: the items of ``-c``, each KEY=VALUE, the later over the earlier.

    Raises:
        ConfigError: a file that cannot be read, or a value that is not allowed.

    """
    folder = find_conf_folder(environ)
    layers, notes = option_layers(options)
    read: tuple[Path, Layer] | None = None
    if config_file:
        read = read_named_file(config_file, folder.path)
    elif folder.path is not None:
        read = read_storm_yaml(folder.path)
    if read is None:
        notes.insert(0, _not_found(folder.looked_for))
    else:
        layers.insert(0, read[1])
    merged = merge(layers)
    return dataclasses.replace(
        merged,
        notes=(*notes, *merged.notes),
        files_read=() if read is None else (read[0],),
    )


def _not_found(looked_for: tuple[str, ...]) -> Note:
    where = ", ".join(looked_for)
    return Note(f"no storm.yaml found; looked for it in: {where}", is_warning=True)
