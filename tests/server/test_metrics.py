"""The families of the daemon's figures."""

from __future__ import annotations

import re

import pytest

from pacemaker.admin.exposition import metrics_page, no_metrics_page
from pacemaker.core.figures import Figures
from pacemaker.server.measurements import Measurements, PacemakerMeasurements
from pacemaker.server.metrics import families
from tests.prometheus import complaints

MEASURED = Measurements(
    figures=Figures(
        pulse_size_histogram=[0, 0, 0, 7, *[0] * 28],
        pulse_bytes=700,
        requests=[26, 0, 27, 0, 0, 0, 28, 0, 29, 0, 5, 0, 30, 0, 31, *[0] * 4],
        misses=2,
        unauthorized=[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, *[0] * 8],
        read_bytes=500,
        connections=3,
        delays=2,
        anonymous_deletes=1,
        accepted=60,
        ended=57,
        ended_refused=10,
        ended_by_stop=5,
        ended_by_fault=2,
        closed_for_room=35,
        refused_steps=36,
        logins=32,
        addresses=2,
        busiest_account_connections=2,
        refused_connections=6,
        refused_heartbeats=8,
        refused_holds=9,
        evictions=10,
        failed_logins=11,
        delayed_logins=12,
    ),
    keys=13,
    store_bytes=14,
    store_budget_bytes=15,
    buffer_bytes=16,
    buffer_budget_bytes=17,
    held_read_bytes=18,
    auth_method="DIGEST",
    io_threads=1,
    most_descriptors=19,
    resident_bytes=20,
    cpu_s=21.5,
    started_s=33.0,
    last_pulse_s=22.0,
    last_read_s=23.0,
    upgrades=24,
    refused_upgrades=25,
    pacemakers=(
        PacemakerMeasurements(
            name="pm1:6699",
            is_up=True,
            up_since_s=34.0,
            is_complete=True,
            waiting_pulses=35,
            waiting_deletes=36,
            dropped_pulses=37,
            dropped_deletes=38,
            losses=39,
            latencies=[0] * 9 + [40] + [0] * 17,
            latencies_s=41.0,
        ),
        PacemakerMeasurements(
            name="pm2:6699",
            is_up=False,
            up_since_s=0.0,
            is_complete=False,
            waiting_pulses=0,
            waiting_deletes=0,
            dropped_pulses=0,
            dropped_deletes=0,
            losses=0,
            latencies=[0] * 27,
            latencies_s=0.0,
        ),
    ),
)


def written(measured: Measurements = MEASURED) -> str:
    """Return the whole page."""
    page = metrics_page(lambda: families(measured))
    return b"".join(page.show({}).slices).decode()


def samples(text: str) -> dict[str, float]:
    """Return each series and its value."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {
        name: float(value) for name, value in (each.rsplit(" ", 1) for each in lines)
    }


def test_every_count_is_shown() -> None:
    """Each count has its own name, which contains the unit."""
    shown = samples(written())
    prefix = "storm_pacemaker_"
    assert shown[prefix + 'requests_total{outcome="ok",type="send_pulse"}'] == 7
    assert shown[prefix + 'requests_total{outcome="ok",type="get_pulse"}'] == 3
    assert shown[prefix + 'requests_total{outcome="miss",type="get_pulse"}'] == 2
    assert shown[prefix + 'requests_total{outcome="unauthorized",type="exists"}'] == 1
    assert shown[prefix + 'connections_closed_total{reason="peer"}'] == 40
    assert shown[prefix + "pulse_received_bytes_total"] == 700
    assert shown[prefix + "pulse_sent_bytes_total"] == 500
    assert shown[prefix + "connections"] == 3
    assert shown[prefix + "keys"] == 13
    assert shown[prefix + "last_pulse_timestamp_seconds"] == 22
    assert shown["process_cpu_seconds_total"] == 21.5
    # Every number that is measured is somewhere.
    assert set(range(1, 42)) - {4} <= {int(value) for value in shown.values()}


def test_each_pacemaker_of_a_relay_has_its_series() -> None:
    """The series show one Pacemaker that is up and one that never answered."""
    shown = samples(written())
    prefix = "storm_pacemaker_relay_"
    assert shown[prefix + 'up{pacemaker="pm1:6699"}'] == 1
    assert shown[prefix + 'up{pacemaker="pm2:6699"}'] == 0
    assert shown[prefix + 'up_timestamp_seconds{pacemaker="pm1:6699"}'] == 34
    assert shown[prefix + 'waiting_pulses{pacemaker="pm1:6699"}'] == 35
    assert shown[prefix + 'dropped_deletes_total{pacemaker="pm1:6699"}'] == 38
    bucket = prefix + 'latency_seconds_bucket{le="%s",pacemaker="pm1:6699"}'
    assert shown[bucket % "0.000256"] == 0
    assert shown[bucket % "0.000512"] == 40


def test_pacemaker_itself_has_no_series_of_a_relay() -> None:
    """The alerts tell relays from Pacemakers by these series."""
    assert "storm_pacemaker_relay_" not in written(MEASURED._replace(pacemakers=()))


def test_labels_are_not_for_peers_to_choose() -> None:
    """No topology, key or peer's address: `/metrics` is open, and series stay few."""
    labels = set(re.findall(r'(\w+)="', written()))
    assert labels <= {
        *("type", "outcome", "reason", "method", "version", "python", "le"),
        "pacemaker",
    }


def test_slices_are_single_families() -> None:
    """Between two families, the endpoint lets the I/O threads run."""
    page = metrics_page(lambda: families(MEASURED))
    for part in page.show({}).slices:
        assert part.count(b"# TYPE ") == 1


def test_page_without_the_library_says_what_to_install() -> None:
    """The page names the missing package; the other pages do not need it."""
    reply = no_metrics_page().show({})
    assert reply.status == 501
    assert b"'.[metrics]'" in b"".join(reply.slices)


@pytest.mark.real
def test_promtool_finds_nothing_to_say() -> None:
    """Names, units and help follow Prometheus's rules."""
    assert complaints(written()) == ""


@pytest.mark.real
def test_promtool_would_complain() -> None:
    """The tool promtool rejects a page that breaks the rules."""
    assert complaints("# TYPE storm_seconds_count gauge\nstorm_seconds_count 1\n")
