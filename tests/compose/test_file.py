"""The compose file, as every release of Compose that is installed reads it."""

from __future__ import annotations

import pytest

from tests.compose.engine import COMMANDS, COMPOSE_FILE, run, succeeds

pytestmark = pytest.mark.compose


@pytest.mark.parametrize("command", COMMANDS)
def test_is_valid(command: tuple[str, ...]) -> None:
    """It is valid, with the UI's profile and without."""
    if not succeeds(*command, "version"):
        pytest.skip(f"{' '.join(command)} is not installed")
    for profile in ([], ["--profile=ui"]):
        run([*command, f"--file={COMPOSE_FILE}", *profile, "config", "--quiet"])
