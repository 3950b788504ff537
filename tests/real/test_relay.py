"""A relay and a Pacemaker on one host: with KERBEROS, and by one storm.yaml."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pacemaker.client.address import ServerAddress
from pacemaker.client.connection import PacemakerConnection
from pacemaker.client.requests import get_pulse, send_pulse
from pacemaker.config import AuthMethod, Settings
from pacemaker.sasl.setup import set_up_client
from tests.cluster.hosts import Namespace, namespaces_work
from tests.real.daemons import SERVE, Daemon, Served
from tests.real.realm import NIMBUS, SERVER, Realm
from tests.real.test_sasl_daemon import options, storm_client, write_digest_jaas
from tests.relay.processes import RELAY, RelayProcess, name_of

pytestmark = pytest.mark.real

KEY = "/workerbeats/words-1-1700000000/7a4e-6700"
PACEMAKER = "pacemaker/127.0.0.2@EXAMPLE.COM"
"""The principal of the Pacemaker; the relay's is that of localhost."""


def test_kerberos_relay_and_pacemaker_on_one_host(realm: Realm) -> None:
    """Each is asked for under its own name, and Nimbus reads through the relay."""
    keytab = realm.kdc.add(PACEMAKER.partition("@")[0])
    everything = realm._replace(keytabs={**realm.keytabs, PACEMAKER: keytab})
    jaas_file = everything.write_jaas(
        "one-host.conf",
        {
            "PacemakerServer": PACEMAKER,
            "PacemakerRelay": SERVER,
            "PacemakerClient": NIMBUS,
        },
    )
    options = (
        *("-c", "pacemaker.auth.method=KERBEROS"),
        *("-c", f"java.security.auth.login.config={jaas_file}"),
        *("-c", "nimbus.daemon.user=nimbus"),
    )
    with (
        Daemon(*options, bind="127.0.0.2") as pacemaker,
        RelayProcess([name_of(pacemaker.address)], *options) as relay,
    ):
        settings = Settings(
            auth_method=AuthMethod.KERBEROS,
            jaas_file=jaas_file,
            nimbus_daemon_user="nimbus",
        )
        address = ServerAddress("localhost", relay.address[1])
        factory = set_up_client(settings).factory
        with PacemakerConnection(
            address, timeout_s=30, mechanism_factory=factory
        ) as nimbus:
            nimbus.request(send_pulse(KEY, b"beat"))
            assert nimbus.request(get_pulse(KEY)) == b"beat"


def test_worker_of_storm_1_with_digest_needs_a_relay_with_credentials(
    tmp_path: Path,
) -> None:
    """It authenticates before it writes, which only a Nimbus of later releases does."""
    jaas_file = write_digest_jaas(tmp_path / "jaas.conf")
    with_credentials = options("DIGEST", jaas_file)
    with (
        Daemon(*with_credentials) as pacemaker,
        RelayProcess([name_of(pacemaker.address)], *with_credentials) as relay,
        RelayProcess(
            [name_of(pacemaker.address)], "-c", "pacemaker.auth.method=DIGEST"
        ) as write_only,
    ):
        with storm_client("1.2.4", relay, jaas_file, "DIGEST") as worker:
            worker.ask_until(f"ask SEND_PULSE {KEY} 00ff", "SEND_PULSE_RESPONSE")
            worker.ask_until(f"ask GET_PULSE {KEY}", f"GET_PULSE_RESPONSE {KEY} 00ff")
        with storm_client("1.2.4", write_only, jaas_file, "DIGEST") as worker:
            answer = worker.ask(f"ask SEND_PULSE {KEY} 01")
            assert "PacemakerConnectionException" in answer
            write_only.logged("closed: this relay has no credentials", 60)
        # One that does not authenticate, as those of 2.3 and later, only has to write.
        with storm_client("2.8.3", write_only) as worker:
            worker.ask_until(f"ask SEND_PULSE {KEY} 02", "SEND_PULSE_RESPONSE")


@pytest.fixture
def host() -> Namespace:
    """Return a host of our own."""
    if not namespaces_work():
        pytest.skip("a host with an address of its own needs a network namespace")
    return Namespace()


def test_one_storm_yaml_serves_relay_and_pacemaker(
    tmp_path: Path, host: Namespace
) -> None:
    """On a Pacemaker's host loopback is the relay's, and the rest the Pacemaker's."""
    config = tmp_path / "storm.yaml"
    config.write_text(
        json.dumps(
            {
                "pacemaker.servers": ["localhost"],
                "pacemaker.relay.servers": [host.address],
                "pacemaker.port": 6699,
            }
        )
    )
    options = ("--config", str(config))
    try:
        with (
            Served([*host.prefix, *SERVE, *options]) as pacemaker,
            Served([*host.prefix, *RELAY, *options]) as relay,
        ):
            assert pacemaker.address == (host.address, 6699)
            assert relay.address[0] in ("127.0.0.1", "::1")
            program = [*host.prefix, sys.executable, "-m", "pacemaker"]
            put = [*program, "put", *options, KEY]
            subprocess.run(put, input=b"beat", check=True, timeout=60)
            get = [*program, "get", *options, "--json", KEY]
            read = subprocess.run(get, capture_output=True, check=True, timeout=60)
            assert base64.b64decode(json.loads(read.stdout)["details"]) == b"beat"
            ping = [*program, "ping", *options]
            done = subprocess.run(ping, capture_output=True, check=True, timeout=60)
            assert done.stdout.count(b"answers") == 2
            with socket.create_connection((host.address, 6699), 20):
                pass
    finally:
        host.close()
