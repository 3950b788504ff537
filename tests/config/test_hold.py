"""The rule by which misses are held after a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.config import Configuration, Settings, decide_hold
from pacemaker.config.hold import MACHINE_STARTED_S

READ = (Path("/etc/storm/conf/storm.yaml"),)

CASES = [
    (("a",), READ, None, (20, 10), "20 s; 10 s if the listening socket is"),
    (("a",), (), None, (0, 0), "off (no storm.yaml was read)"),
    ((), (), None, (0, 0), "off (no storm.yaml was read)"),
    ((), READ, None, (0, 0), "off (pacemaker.servers names no servers)"),
    (("a", "b"), READ, None, (0, 0), "off (pacemaker.servers names 2 servers)"),
    (("a", "a"), READ, None, (20, 10), "20 s; 10 s if the listening socket is"),
    (("a",), READ, 0, (0, 0), "off (--hold)"),
    (("a", "b"), READ, 7, (7, 7), "7 s (--hold)"),
    ((), (), 100, (100, 100), "100 s (--hold)"),
]


@pytest.mark.parametrize(("servers", "files", "asked_s", "hold_s", "said"), CASES)
def test_hold_is_decided(
    servers: tuple[str, ...],
    files: tuple[Path, ...],
    asked_s: float | None,
    hold_s: tuple[float, float],
    said: str,
) -> None:
    """On where a storm.yaml was read that names one server; the option wins."""
    configuration = Configuration(Settings(servers=servers), {}, files_read=files)
    hold = decide_hold(configuration, asked_s)
    up_s = MACHINE_STARTED_S
    assert (hold.after(False, up_s), hold.after(True, up_s)) == hold_s
    assert str(hold).startswith(said)


def test_socket_of_a_machine_that_has_just_started_was_not_kept() -> None:
    """It was opened a moment ago, and who was refused before is 13 s away."""
    configuration = Configuration(Settings(servers=("a",)), {}, files_read=READ)
    hold = decide_hold(configuration)
    assert hold.after(True, MACHINE_STARTED_S - 1) == hold.cold_s
