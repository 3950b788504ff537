"""`serve`: what it passes to the daemon, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker import server
from pacemaker.cli.output import exit_codes
from pacemaker.config import Settings
from pacemaker.errors import ListenError, StartError
from pacemaker.sasl.setup import ServerSasl
from pacemaker.server import ServerOptions
from tests.cli.conftest import Run


class Daemon:
    """Stands in for the daemon: notes what it is given, and ends as it is told."""

    def __init__(self, end: Exception | None = None) -> None:
        self.end = end
        self.settings: Settings | None = None
        self.options: ServerOptions | None = None
        self.sasl: ServerSasl | None = None

    def run(
        self,
        settings: Settings,
        options: ServerOptions,
        sasl: ServerSasl | None = None,
    ) -> None:
        """Take the place of `pacemaker.server.run`."""
        self.settings = settings
        self.options = options
        self.sasl = sasl
        if self.end is not None:
            raise self.end


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Put a stand-in in the place of the daemon."""
    daemon = Daemon()
    monkeypatch.setattr(server, "run", daemon.run)
    return daemon


def test_serve_hands_over_settings_and_options(run: Run, daemon: Daemon) -> None:
    """The configuration and each option reach the daemon."""
    result = run(
        *["serve", "-c", "pacemaker.port=0", "--bind", "::1", "--io-threads", "2"],
        *["--buffer-budget", "1M", "--store-budget", "2M"],
    )
    assert result.exit_code == exit_codes.OK
    assert daemon.settings == Settings(port=0)
    assert daemon.options == ServerOptions("::1", 2, 2**20, 2**21)
    assert daemon.sasl
    assert daemon.sasl.factory is None


def test_serve_leaves_what_is_not_said_to_the_daemon(run: Run, daemon: Daemon) -> None:
    """Without options the daemon decides."""
    assert run("serve").exit_code == exit_codes.OK
    assert daemon.options == ServerOptions()


@pytest.mark.parametrize(
    ("options", "hold_s"),
    [((), (20, 10)), (("--hold", "0"), (0, 0)), (("--hold", "100"), (100, 100))],
)
def test_serve_hands_over_how_long_misses_are_held(
    run: Run,
    daemon: Daemon,
    conf_folder: Path,
    options: tuple[str, ...],
    hold_s: tuple[float, float],
) -> None:
    """A storm.yaml that names one server switches it on; the option overrides it."""
    (conf_folder / "storm.yaml").write_text("pacemaker.servers: [a]\n")
    assert run("serve", *options).exit_code == exit_codes.OK
    assert daemon.options is not None
    assert daemon.options.hold[:2] == hold_s


def test_serve_hands_over_the_mechanism(
    run: Run, daemon: Daemon, tmp_path: Path
) -> None:
    """With DIGEST the daemon gets what makes the mechanism of a connection."""
    jaas = tmp_path / "jaas"
    jaas.write_text('PacemakerDigest { username="u" password="p"; };')
    result = run(
        *["serve", "-c", "pacemaker.auth.method=DIGEST"],
        *["-c", f"java.security.auth.login.config={jaas}"],
    )
    assert result.exit_code == exit_codes.OK
    assert daemon.sasl
    assert daemon.sasl.factory is not None
    assert " p.cli MainThread [INFO] authentication: DIGEST\n" in result.stderr
    # The sample of Storm's documentation, which the JVM would refuse.
    assert " p.cli MainThread [WARN] " in result.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--io-threads", "0"),
        ("--io-threads", "51"),
        ("--store-budget", "much"),
        ("--hold", "-1"),
        ("--hold", "101"),
        ("--hold", "nan"),
        ("--log-level", "loud"),
        ("--unknown", "x"),
    ],
)
def test_serve_refuses_a_wrong_option(
    run: Run, daemon: Daemon, option: str, value: str
) -> None:
    """A wrong option is a matter of usage, and the daemon is not started."""
    result = run("serve", option, value)
    assert result.exit_code == exit_codes.USAGE
    assert option in result.stderr
    assert daemon.settings is None


@pytest.mark.parametrize(
    ("bind", "problem"),
    [
        ("", "the address is empty"),
        (" ", "the address is empty"),
        ("10.0.0.5:6700", "without a port; set the port with pacemaker.port"),
        ("localhost:6700", "without a port"),
        ("[::1]:6700", "without a port"),
        ("[::1", "must be an address"),
    ],
)
def test_serve_refuses_what_is_no_address(
    run: Run, daemon: Daemon, bind: str, problem: str
) -> None:
    """By a message that says what it has to be, not by that of a look-up."""
    result = run("serve", "--bind", bind)
    assert result.exit_code == exit_codes.USAGE
    assert problem in result.stderr
    assert daemon.settings is None


@pytest.mark.parametrize("bind", ["::", "::1", "[::1]", "fe80::1%eth0", "localhost"])
def test_serve_takes_every_way_to_write_an_address(
    run: Run, daemon: Daemon, bind: str
) -> None:
    """What the system makes of it is the daemon's to see."""
    assert run("serve", "--bind", bind).exit_code == exit_codes.OK
    assert daemon.options is not None
    assert daemon.options.bind == bind


def test_serve_that_the_system_refuses_is_one_line(run: Run, daemon: Daemon) -> None:
    """A thread that cannot be started is no fault of the program."""
    daemon.end = StartError("cannot start the thread x")
    result = run("serve", "--log-level", "error")
    assert result.exit_code == exit_codes.SYSTEM_REFUSED
    assert result.stderr == f"Error: {daemon.end}\n"


def test_serve_refuses_a_wrong_configuration_as_check_does(
    run: Run, daemon: Daemon
) -> None:
    """The message and the exit code are those of `config --check`."""
    wrong = ["-c", "pacemaker.max.threads=0", "--log-level", "error"]
    result = run("serve", *wrong)
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert result.stderr == run("config", "--check", *wrong).stderr
    assert daemon.settings is None


def test_serve_that_cannot_listen_is_one_line(run: Run, daemon: Daemon) -> None:
    """A port in use is one line without a traceback, and its own exit code."""
    daemon.end = ListenError("0.0.0.0:6699", "Address already in use")
    result = run("serve", "--log-level", "error")
    assert result.exit_code == exit_codes.CANNOT_LISTEN
    assert result.stderr == f"Error: {daemon.end}\n"


def test_serve_logs_an_unexpected_failure(run: Run, daemon: Daemon) -> None:
    """A fault of ours is logged with its traceback and has its own exit code."""
    daemon.end = RuntimeError("a bug\nof ours")
    result = run("serve")
    assert result.exit_code == exit_codes.UNEXPECTED
    assert "[FATAL] unexpected failure" in result.stderr
    assert "    | RuntimeError: a bug\n    | of ours" in result.stderr
