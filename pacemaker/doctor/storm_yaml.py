"""One storm.yaml: its values as Storm's daemons see them, and how a finding shows one.

The keys that more than one check looks at have their names here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pacemaker.config import storm_defaults
from pacemaker.config.settings import Settings
from pacemaker.texts import clipped

STORE: Final = "storm.cluster.state.store"
SERVERS: Final = "pacemaker.servers"
AUTH_METHOD: Final = "pacemaker.auth.method"

# The values of STORE with which Storm 1.x and 2.x use Pacemaker.
STORE_1X: Final = "org.apache.storm.pacemaker.pacemaker_state_factory"
STORE_2X: Final = "org.apache.storm.cluster.PaceMakerStateStorageFactory"

# The most characters of a value in a finding.
MAX_VALUE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class StormYaml:
    """One storm.yaml.

    Attributes:
        source: its path.
        values: its keys and values; empty if it cannot be read.
        error: why the daemon does not start with it; None if it does.
        warnings: what the reader of the file warned of.
        settings: the checked values; None if there is an error.
        is_missing: whether no file was found; the daemon then starts with the defaults.
        error_key: the key that the error is about; None if it is about the file.
        error_value: the value of that key.
    """

    source: str
    values: Mapping[str, Any]
    error: str | None = None
    warnings: tuple[str, ...] = ()
    settings: Settings | None = None
    is_missing: bool = False
    error_key: str | None = None
    error_value: Any = None

    def get(self, key: str) -> Any:
        """Return the value of a key, or Storm's default."""
        return self.values.get(key, storm_defaults.BY_KEY.get(key))

    def number(self, key: str) -> float | None:
        """Return the value of a key as a number; None if it is not one."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        try:
            return float(value)
        except OverflowError:  # an integer of more than 308 digits
            return None

    @property
    def servers(self) -> list[str]:
        """The names of the Pacemakers: pacemaker.servers, else pacemaker.host."""
        found = self.get("pacemaker.servers")
        if isinstance(found, list) and found:
            return [str(each) for each in found]
        host = self.get("pacemaker.host")
        return [str(host)] if host else []


def shown(value: Any) -> str:
    """Return a value as a finding shows it, cut if it is long."""
    return "unset" if value is None else clipped(text_of(value), MAX_VALUE_CHARACTERS)


def text_of(value: Any) -> str:
    """Return a value as JSON, or as Python shows it if JSON cannot hold it."""
    try:
        return json.dumps(value, default=str, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError):  # a date as a key, or a list that contains itself
        return repr(value)
