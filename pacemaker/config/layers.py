"""Merge the layers of Storm's configuration and check the result.

Storm merges shallowly: a key in storm.yaml replaces that key's default, and a ``-c``
replaces both.  This module is pure: files and options come in as values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pacemaker.config import keys, values
from pacemaker.config.keys import KEYS, ConfigKey
from pacemaker.config.lookalikes import ignored_keys
from pacemaker.config.loose_json import parse_loose_json
from pacemaker.config.settings import Settings
from pacemaker.errors import ConfigError

OPTION_SOURCE: Final = "-c"
DEFAULT_SOURCE: Final = "default"

# The maximum for ignored keys: the file may be any YAML file.
_MAX_WARNINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Layer:
    """The values of one file or one ``-c``.

    Attributes:
        source: the name of the file, or "-c".
        values: its values, by key.

    """

    source: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Note:
    """A hint for the user that is not an error.

    Attributes:
        text: one sentence.
        is_warning: whether this is probably a mistake.

    """

    text: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """One merged value and where it came from.

    Attributes:
        value: the value as read.
        source: the name of the file, or "-c".
    """

    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """A valid configuration.

    Attributes:
        settings: the checked values.
        origins: where the value of each field of `settings` came from: a file,
            "-c" or "default".
        notes: hints for the user, in order.
        files_read: the configuration files, in the order of reading.
        option_values: the unchecked values of keys below `keys.OPTION_PREFIX`, which
            the commands that have these options check.

    """

    settings: Settings
    origins: Mapping[str, str]
    notes: tuple[Note, ...] = ()
    files_read: tuple[Path, ...] = ()
    option_values: Mapping[str, SourcedValue] = field(default_factory=dict)


def option_layers(options: Iterable[str]) -> tuple[list[Layer], list[Note]]:
    """Return one layer for each ``-c KEY=VALUE``, and notes on those without "="."""
    layers: list[Layer] = []
    notes: list[Note] = []
    for option in options:
        key, equals, text = option.partition("=")
        if equals:
            layers.append(Layer(OPTION_SOURCE, {key: parse_loose_json(text)}))
        else:
            shown = values.ShownValue(option)
            problem = f"{OPTION_SOURCE} {shown!r} is ignored: it is not KEY=VALUE"
            notes.append(Note(problem, is_warning=True))
    return layers, notes


def merge(layers: Iterable[Layer]) -> Configuration:
    """Merge the layers over the defaults and check the values; later layers win.

    Raises:
        ConfigError: a value is not allowed; the first one, in the order of the table
            of keys.

    """
    merged: dict[str, SourcedValue] = {}
    for layer in layers:
        for name, value in layer.values.items():
            merged[name] = SourcedValue(value, layer.source)
    checked: dict[str, Any] = {}
    origins = {each.name: DEFAULT_SOURCE for each in fields(Settings)}
    for key in KEYS:
        if key.name in merged:
            _apply_key(key, merged[key.name], checked, origins)
    _apply_host(merged, checked, origins)
    _apply_jaas_option(merged, checked, origins)
    options = {
        name: each
        for name, each in merged.items()
        if name.startswith(keys.OPTION_PREFIX)
    }
    return Configuration(
        Settings(**checked), origins, tuple(_notes(merged)), option_values=options
    )


def _apply_key(
    key: ConfigKey,
    found: SourcedValue,
    checked: dict[str, Any],
    origins: dict[str, str],
) -> None:
    origins[key.field] = found.source
    if found.value is not None or not key.null_is_unset:
        checked[key.field] = _checked(key, found)


def _checked(key: ConfigKey, found: SourcedValue) -> object:
    try:
        return key.check(found.value)
    except values.WrongValueError as exc:
        shown = (
            values.HiddenValue() if key.is_secret else values.ShownValue(found.value)
        )
        raise ConfigError(
            str(exc), key=key.name, value=shown, source=found.source
        ) from exc


def _apply_host(
    merged: Mapping[str, SourcedValue], checked: dict[str, Any], origins: dict[str, str]
) -> None:
    """Use the deprecated pacemaker.host if pacemaker.servers is not set."""
    found = merged.get(keys.HOST)
    if found is None or found.value is None:
        return
    host = _checked(ConfigKey(keys.HOST, "servers", values.server), found)
    if "servers" not in checked:
        checked["servers"] = (host,)
        origins["servers"] = f"{keys.HOST} in {found.source}"


def _apply_jaas_option(
    merged: Mapping[str, SourcedValue], checked: dict[str, Any], origins: dict[str, str]
) -> None:
    """Let the JVM's option override the key, as in Storm."""
    found = merged.get(keys.CHILDOPTS)
    if found is None or found.value is None:
        return
    # The options may contain passwords, for example of a trust store.
    option = _checked(
        ConfigKey(keys.CHILDOPTS, "jaas_file", values.jaas_option, is_secret=True),
        found,
    )
    checked["java_properties"] = values.java_properties(found.value)
    if option is not None:
        jaas_file = ConfigKey(keys.CHILDOPTS, "jaas_file", values.path)
        checked["jaas_file"] = _checked(jaas_file, SourcedValue(option, found.source))
        origins["jaas_file"] = f"{keys.CHILDOPTS} in {found.source}"


def _notes(merged: Mapping[str, SourcedValue]) -> Iterable[Note]:
    without_effect = [
        *(key.name for key in KEYS if not key.has_effect and key.name in merged),
        *(name for name in keys.UNREAD_KEYS if name in merged),
        *_ignored_childopts(merged),
    ]
    if without_effect:
        yield Note(f"without effect here: {', '.join(without_effect)}")
    if keys.HOST in merged:
        yield Note(f"{keys.HOST} is deprecated; use {keys.SERVERS}")
    found = ignored_keys({name: value.value for name, value in merged.items()})
    for sentence in islice(found, _MAX_WARNINGS):
        yield Note(sentence, is_warning=True)


def _ignored_childopts(merged: Mapping[str, SourcedValue]) -> Iterable[str]:
    """Yield what to call the JVM's options that nothing here uses, if there are any."""
    found = merged.get(keys.CHILDOPTS)
    if found is None or found.value is None:
        return
    options = values.jvm_options(found.value)
    used = [each for each in options if each.startswith(values.PROPERTY_OPTION)]
    if len(used) < len(options):
        yield f"the rest of {keys.CHILDOPTS}" if used else keys.CHILDOPTS
