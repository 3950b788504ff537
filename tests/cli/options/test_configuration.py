"""What commands take from the configuration: how long misses are held."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.cli.options.configuration import choose_hold_times
from pacemaker.config import Configuration, Settings
from pacemaker.core.protocol.hold_times import MACHINE_STARTED_S

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
    hold = choose_hold_times(configuration, asked_s)
    up_s = MACHINE_STARTED_S
    assert (hold.after(False, up_s), hold.after(True, up_s)) == hold_s
    assert str(hold).startswith(said)


def test_relays_servers_decide_behind_a_relay() -> None:
    """Then pacemaker.servers names a relay, and says nothing about the Pacemakers."""
    settings = Settings(servers=("a", "b"), relay_servers=("c",))
    hold = choose_hold_times(Configuration(settings, {}, files_read=READ))
    assert str(hold).endswith("(pacemaker.relay.servers names one server)")
