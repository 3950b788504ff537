"""The compose file, as every release of Compose that is installed reads it."""

from __future__ import annotations

import pytest
import yaml

from tests.compose.engine import COMMANDS, COMPOSE_FILE, run, succeeds

pytestmark = pytest.mark.compose


@pytest.mark.parametrize("command", COMMANDS)
def test_is_valid(command: tuple[str, ...]) -> None:
    """It is valid, with each profile and without."""
    if not succeeds(*command, "version"):
        pytest.skip(f"{' '.join(command)} is not installed")
    for profile in ([], ["--profile=ui"], ["--profile=relays"]):
        run([*command, f"--file={COMPOSE_FILE}", *profile, "config", "--quiet"])


def test_relays_have_the_same_storm_yaml_but_for_the_servers() -> None:
    """What is changed in one file is changed in the other."""
    folder = COMPOSE_FILE.parent / "docker"
    plain, relays = (
        yaml.safe_load((folder / name).read_text())
        for name in ("storm.yaml", "storm-relays.yaml")
    )
    assert relays.pop("pacemaker.servers") == ["localhost"]
    servers = relays.pop("pacemaker.relay.servers")
    assert servers == plain.pop("pacemaker.servers")
    assert relays == plain
