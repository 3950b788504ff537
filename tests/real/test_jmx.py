"""The rules for the JMX exporter, beside the JVM's own Pacemaker."""

from __future__ import annotations

import time

import pytest

from pacemaker.admin.address import AdminAddress
from pacemaker.admin.client import fetch_page
from tests.prometheus import complaints
from tests.real import jmx
from tests.real.daemons import JvmDaemon, free_port
from tests.real.jvm import ROOT
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.real

RULES = ROOT / "deploy" / "jmx" / "storm-pacemaker.yml"
GIVE_UP_S = 60.0


def scrape(port: int) -> str:
    """Return the exporter's page."""
    return fetch_page(AdminAddress("127.0.0.1", port), "/metrics", GIVE_UP_S).text


def test_jvms_pacemaker_has_our_names() -> None:
    """One dashboard shows both during a migration."""
    port = free_port()
    agent = f"-javaagent:{jmx.agent()}=127.0.0.1:{port}:{RULES}"
    with JvmDaemon(options=[agent]) as daemon, Wire(daemon.address) as peer:
        for number in range(3):
            peer.ask(wire.send_pulse("/workerbeats/words-1-17/a-1", b"beat", number))
        peer.ask(wire.path_request(Type.GET_PULSE, "/workerbeats/words-1-17/a-1", 7))
        # Storm registers its gauge some time after it has begun to listen.
        deadline_s = time.monotonic() + GIVE_UP_S
        text = scrape(port)
        while "storm_pacemaker_keys" not in text and time.monotonic() < deadline_s:
            text = scrape(port)
    lines = [line for line in text.splitlines() if line.startswith("storm_pacemaker_")]
    assert 'storm_pacemaker_requests_total{outcome="ok",type="send_pulse"} 3.0' in lines
    assert 'storm_pacemaker_requests_total{outcome="ok",type="get_pulse"} 1.0' in lines
    assert "storm_pacemaker_pulse_received_bytes_total 12.0" in lines
    assert "storm_pacemaker_pulse_sent_bytes_total 4.0" in lines
    assert "storm_pacemaker_keys 1.0" in lines
    assert 'storm_pacemaker_recent_pulse_size_bytes{percentile="99"} 4.0' in lines
    ours = [line for line in text.splitlines(True) if "storm_pacemaker_" in line]
    assert complaints("".join(ours)) == ""
