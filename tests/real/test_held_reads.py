"""Storm's own client of 2.8.3 and a daemon that holds its reads."""

from __future__ import annotations

import pytest

from tests.real.clients import StormClient
from tests.real.daemons import Daemon
from tests.real.jvm import NEWEST_RELEASE
from tests.wire import by_hand as wire
from tests.wire.by_hand import Wire

pytestmark = pytest.mark.real

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
RESENDS = 2
"""The client sends again each second, so the pulse comes two seconds later."""


def test_read_right_after_a_start_gets_the_pulse_that_comes_later() -> None:
    """The client waits, gets the heartbeat once, and its next reads are right."""
    with Daemon("--hold", "100", "--log-level", "debug") as daemon:
        host, port = daemon.address
        with StormClient(NEWEST_RELEASE, port, host) as client:
            client.tell(f"ask GET_PULSE {KEY}")
            for _ in range(1 + RESENDS):
                daemon.logged(r"held: id=\d+ ", 60)
            with Wire(daemon.address) as worker:
                worker.ask(wire.send_pulse(KEY, b"\x07", 1))
                worker.ask(wire.send_pulse("/other", b"\x08", 1))
            found = client.stdout.find(r"^GET_PULSE_RESPONSE (.*)$", 60)
            assert found is not None
            assert found[1] == f"{KEY} 07"
            # As many as the client has ids: no late reply meets one of them.
            for _ in range(100):
                reply = client.ask("ask GET_PULSE /other")
                assert reply == "GET_PULSE_RESPONSE /other 08"
