"""`relay`: what it passes to the daemon, and what it refuses."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from pacemaker import server
from pacemaker.cli.output import exit_codes
from pacemaker.client.address import ServerAddress
from pacemaker.config import Settings
from pacemaker.relay.daemon import RelayDaemon
from pacemaker.sasl.setup import ServerSasl
from pacemaker.server import ServerOptions
from pacemaker.server.run import DaemonFactory
from tests.cli.conftest import Run


class Daemon:
    """Stands in for the daemon, and notes what it is given."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.options: ServerOptions | None = None
        self.addresses: tuple[ServerAddress, ...] = ()

    def run(
        self,
        settings: Settings,
        options: ServerOptions,
        sasl: ServerSasl,
        make_daemon: DaemonFactory,
    ) -> None:
        """Take the place of `pacemaker.server.run`."""
        self.settings = settings
        self.options = options
        assert isinstance(make_daemon, partial)
        assert make_daemon.func is RelayDaemon
        (upstreams,) = make_daemon.args
        self.addresses = upstreams.addresses


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Put a stand-in in the place of the daemon."""
    daemon = Daemon()
    monkeypatch.setattr(server, "run", daemon.run)
    return daemon


def test_relay_takes_its_pacemakers_from_storm_yaml(
    run: Run, daemon: Daemon, conf_folder: Path
) -> None:
    """Each once, and at pacemaker.port unless it says otherwise."""
    (conf_folder / "storm.yaml").write_text(
        "pacemaker.port: 7000\npacemaker.relay.servers: [pm1, 'pm2:1', pm1]\n"
    )
    assert run("relay").exit_code == exit_codes.OK
    assert daemon.addresses == (ServerAddress("pm1", 7000), ServerAddress("pm2", 1))
    assert daemon.options == ServerOptions(bind="localhost")


def test_relay_prefers_those_of_the_command_line(
    run: Run, daemon: Daemon, conf_folder: Path
) -> None:
    """And the address to listen on."""
    (conf_folder / "storm.yaml").write_text("pacemaker.relay.servers: [pm1]\n")
    result = run("relay", "--to", "pm3", "--bind", "10.0.0.5", "--io-threads", "2")
    assert result.exit_code == exit_codes.OK
    assert daemon.addresses == (ServerAddress("pm3", 6699),)
    assert daemon.options == ServerOptions(bind="10.0.0.5", io_threads=2)


@pytest.mark.parametrize("options", [(), ("--to", "http://pm1"), ("--to", "a:b:c:d")])
def test_relay_without_a_pacemaker_does_not_start(
    run: Run, daemon: Daemon, options: tuple[str, ...]
) -> None:
    """The error says what to set, or what is wrong."""
    result = run("relay", *options)
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert "--to" in result.stderr
    assert daemon.settings is None


@pytest.mark.parametrize("bind", ["", "localhost:6699", "[::1"])
def test_relay_refuses_an_address_that_is_none(run: Run, bind: str) -> None:
    """As `serve` does."""
    assert run("relay", "--to", "pm1", "--bind", bind).exit_code == exit_codes.USAGE


def test_config_checks_a_relay(run: Run, conf_folder: Path) -> None:
    """With the messages and the exit code of `relay`."""
    (conf_folder / "storm.yaml").write_text("pacemaker.relay.servers: [pm1]\n")
    result = run("config", "--check", "--relay")
    assert result.exit_code == exit_codes.OK
    assert "relay would start" in result.stdout
    (conf_folder / "storm.yaml").write_text("pacemaker.port: 7000\n")
    result = run("config", "--check", "--relay")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION


def test_config_checks_a_relay_only_if_it_checks(run: Run) -> None:
    """The option alone means nothing."""
    assert run("config", "--relay").exit_code == exit_codes.USAGE


def test_config_checks_the_place_of_serve_among_relays(
    run: Run, conf_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host that is no Pacemaker's, `serve` would not start."""
    from pacemaker.relay import own_addresses

    monkeypatch.setattr(own_addresses, "resolve", lambda server: {"192.0.2.1"})
    monkeypatch.setattr(own_addresses, "is_of_this_host", lambda host: False)
    (conf_folder / "storm.yaml").write_text("pacemaker.relay.servers: [pm1]\n")
    result = run("config", "--check")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert "no entry is an address of this host" in result.stderr
