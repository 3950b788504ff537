"""Warn about ignored keys that look like a known one: misspelt, indented, nested.

Storm ignores every key that it does not know.  It has hundreds of keys itself, and
topologies may have their own.  So only a key that is close to one used here, or in
Pacemaker's own namespace, is worth a warning.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from pacemaker.config import keys, values

_KNOWN: Final = tuple(
    sorted({key.name for key in keys.KEYS} | keys.KNOWN_PACEMAKER_KEYS)
)

# The only key of Storm that could be mistaken for a misspelt key used here.
_OTHER_STORM_KEYS: Final = frozenset({"nimbus.daemon.users"})

# difflib's ratio: swapping two letters in `pacemaker.port` gives 0.93.  Except for
# `_OTHER_STORM_KEYS`, Storm's other keys give at most 0.885.
_MIN_LIKENESS: Final = 0.9

# For the part after `pacemaker.`, a namespace without other keys.
_MIN_LIKENESS_OF_REST: Final = 0.6

# Keys that are used have at most one part more than this.
_MAX_DEPTH: Final = 4


def ignored_keys(merged: Mapping[str, object]) -> Iterator[str]:
    """Yield a sentence for each unknown key that looks like a known one.

    Args:
        merged: all values of the configuration, by key.

    """
    for name, value in merged.items():
        # Only the commands know which options there are.
        if name not in _KNOWN and not name.startswith(keys.OPTION_PREFIX):
            yield from _misspelt(name)
            yield from _nested(value, (name,))


def _misspelt(name: str) -> Iterator[str]:
    meant = _likely_key(name)
    if meant is None and not name.startswith(keys.PACEMAKER_PREFIX):
        return
    sentence = f"unknown key {values.ShownValue(name)!r} is ignored"
    odd = next(filter(_is_blank, name), None)
    if odd is not None:
        sentence += f": it contains {_character_name(odd)}"
    yield f"{sentence}; did you mean {meant}?" if meant else sentence


def _likely_key(name: str) -> str | None:
    """Return the key that was probably meant; None if no known key is close."""
    if name in _OTHER_STORM_KEYS:
        return None
    tidied = _letters_of(name)
    if tidied in _KEYS_BY_LETTERS:
        return _KEYS_BY_LETTERS[tidied]
    prefix, rest = keys.PACEMAKER_PREFIX, name.removeprefix(keys.PACEMAKER_PREFIX)
    if rest != name:
        known = [key.removeprefix(prefix) for key in _KNOWN if key.startswith(prefix)]
        near = difflib.get_close_matches(rest, known, 1, _MIN_LIKENESS_OF_REST)
        return prefix + near[0] if near else None
    near = difflib.get_close_matches(name, _KNOWN, 1, _MIN_LIKENESS)
    # A key with another number of parts, such as my.pacemaker.port, is another key.
    return near[0] if near and near[0].count(".") == name.count(".") else None


def _letters_of(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


_KEYS_BY_LETTERS: Final = {_letters_of(key): key for key in _KNOWN}


def _is_blank(char: str) -> bool:
    """Return whether a character is invisible: a space, or without width."""
    return char.isspace() or unicodedata.category(char) in ("Cf", "Cc")


def _character_name(char: str) -> str:
    name = unicodedata.name(char, "").lower()
    return f"U+{ord(char):04X}{name and f' ({name})'}"


def _nested(value: object, path: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for each nested key that was probably meant to be a key itself.

    Examples are ``pacemaker: {port: 7000}``, and a line that is indented by mistake, so
    that it became part of the key above.
    """
    if not isinstance(value, dict) or len(path) > _MAX_DEPTH:
        return
    for name, below in value.items():
        if not isinstance(name, str):
            continue
        is_indented = len(path) == 1 and name in _KNOWN
        meant = name if is_indented else _likely_key(".".join((*path, name)))
        if meant is None:
            yield from _nested(below, (*path, name))
        else:
            above = " in ".join(
                repr(values.ShownValue(part)) for part in reversed(path)
            )
            yield (
                f"{values.ShownValue(name)!r} in {above} is ignored: keys cannot be"
                f" nested; did you mean {meant}, at the beginning of its line?"
            )
