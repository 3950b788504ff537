"""Tests of pacemaker.config.keys: the table fits the settings."""

from __future__ import annotations

import dataclasses

import pytest

from pacemaker.config.keys import (
    KEYS,
    KNOWN_PACEMAKER_KEYS,
    PACEMAKER_PREFIX,
    ConfigKey,
)
from pacemaker.config.settings import Settings

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
# What pacemaker.childopts says, which is no key of its own.
DERIVED = {"java_properties"}


def test_every_setting_has_one_key() -> None:
    """And every key a setting."""
    assert sorted(key.field for key in KEYS) == sorted(FIELDS.keys() - DERIVED)
    assert len({key.name for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key.name))
def test_secret_is_in_no_repr(key: ConfigKey) -> None:
    """A setting is left out of the repr if and only if its key is a secret."""
    assert FIELDS[key.field].repr is not key.is_secret


def test_known_keys_of_pacemaker_begin_alike() -> None:
    """All keys with the prefix are known, those without effect included."""
    ours = {key.name for key in KEYS if key.name.startswith(PACEMAKER_PREFIX)}
    assert ours < KNOWN_PACEMAKER_KEYS
    assert {"pacemaker.host", "pacemaker.childopts"} <= KNOWN_PACEMAKER_KEYS
