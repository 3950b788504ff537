"""How long misses are held after a start."""

from __future__ import annotations

import pytest

from pacemaker.core.protocol.hold_times import MACHINE_STARTED_S, decide_hold_times


@pytest.mark.parametrize(
    ("servers", "hold_s", "said"),
    [
        (("a",), (20, 10), "20 s; 10 s if the listening socket is handed over (k "),
        (("a", "a"), (20, 10), "20 s; 10 s if the listening socket is handed over (k "),
        ((), (0, 0), "off (k names no servers)"),
        (("a", "b"), (0, 0), "off (k names 2 servers)"),
    ],
)
def test_misses_are_held_for_a_single_server(
    servers: tuple[str, ...], hold_s: tuple[float, float], said: str
) -> None:
    """With several, another one answers meanwhile; one listed twice is one."""
    hold = decide_hold_times(servers, "k")
    up_s = MACHINE_STARTED_S
    assert (hold.after(False, up_s), hold.after(True, up_s)) == hold_s
    assert str(hold).startswith(said)


def test_socket_of_a_machine_that_has_just_started_was_not_kept() -> None:
    """It was opened a moment ago, and who was refused before is 13 s away."""
    hold = decide_hold_times(("a",), "k")
    assert hold.after(True, MACHINE_STARTED_S - 1) == hold.cold_s
