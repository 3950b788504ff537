"""What one pulse costs, step by step."""

from __future__ import annotations

import pytest

from benchmarks.pulse_budget import Whole, kernel_steps, own_steps, table
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Pulse

pytestmark = pytest.mark.io


def frames() -> list[bytes]:
    """Return a pulse for each connection."""
    return [
        messages.encode(
            Message(messages.SEND_PULSE, Pulse(f"/workerbeats/t-1/h-{n}-6700", b"x"), n)
        )
        for n in range(100)
    ]


def test_every_step_has_a_time() -> None:
    """The names are those of the page."""
    kernel, own = kernel_steps(frames()), own_steps(frames())
    assert list(kernel) == ["waiting", "reading", "writing"]
    assert list(own) == ["checking and answering", "storing", "history"]
    assert all(us > 0 for us in (*kernel.values(), own["checking and answering"]))


def test_table_adds_up() -> None:
    """What the steps do not explain has lines of its own."""
    lines = table({"reading": 1.0}, {"storing": 2.0}, Whole(3.0, 5.0)).splitlines()
    assert "| packets, waking the peers | 4.00 us | 50% |" in lines
    assert "| the loop: turns, clocks, calls | 1.00 us | 12% |" in lines
    assert lines[-1] == "| **the whole** | 8.00 us | 100% |"
