"""Storm's defaults: whoever has one without importing it has the same."""

from __future__ import annotations

from pacemaker.config import Settings
from pacemaker.config.keys import KEYS
from pacemaker.config.storm_defaults import (
    BY_KEY,
    NIMBUS_TASK_TIMEOUT_SECS,
    TASK_HEARTBEAT_SECS,
)
from pacemaker.core.history.history import READ_GAP_S
from pacemaker.core.history.record import USUAL_INTERVAL_S


def test_core_has_the_same_numbers() -> None:
    """The core imports no configuration, so it has these two of its own."""
    assert USUAL_INTERVAL_S == TASK_HEARTBEAT_SECS
    assert READ_GAP_S == NIMBUS_TASK_TIMEOUT_SECS


def test_settings_have_the_same_defaults() -> None:
    """A key that `doctor` compares and the daemon reads has one default."""
    defaults = Settings()
    shared = [key for key in KEYS if BY_KEY.get(key.name)]
    assert shared
    for key in shared:
        assert getattr(defaults, key.field) == key.check(BY_KEY[key.name]), key.name
