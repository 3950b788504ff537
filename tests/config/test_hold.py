"""The rule by which misses are held after a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.config import Configuration, Settings, decide_hold

READ = (Path("/etc/storm/conf/storm.yaml"),)

CASES = [
    (("a",), READ, None, (20, 10), "20 s; 10 s where the listening socket is"),
    (("a",), (), None, (0, 0), "off (no storm.yaml was read)"),
    ((), (), None, (0, 0), "off (no storm.yaml was read)"),
    ((), READ, None, (0, 0), "off (pacemaker.servers names no servers)"),
    (("a", "b"), READ, None, (0, 0), "off (pacemaker.servers names 2 servers)"),
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
    assert (hold.after(is_port_kept=False), hold.after(is_port_kept=True)) == hold_s
    assert str(hold).startswith(said)
