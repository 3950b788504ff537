"""Options of commands that serve: the flag, then the variable, then storm.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from pacemaker import server
from pacemaker.cli import main
from pacemaker.cli.options.daemon_options import (
    DaemonOption,
    all_daemon_options,
    choose,
    misspelt_variables,
)
from pacemaker.cli.output import exit_codes
from pacemaker.config import load_configuration
from pacemaker.core.accounts.account import AddressLimits
from pacemaker.server import ServerOptions
from tests.cli.conftest import Run
from tests.cli.test_serve import Daemon


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Put a stand-in in the place of the daemon."""
    daemon = Daemon()
    monkeypatch.setattr(server, "run", daemon.run)
    return daemon


def _options(daemon: Daemon) -> ServerOptions:
    assert daemon.options is not None
    return daemon.options


VARIABLE = "STORM_PACEMAKER_STORE_BUDGET"
FLAG = ("--store-budget", "1M")
KEY = ("-c", "pacemaker.py.store.budget=3M")


@pytest.mark.parametrize(
    ("args", "environ", "mib", "origin"),
    [
        ((*FLAG, *KEY), {VARIABLE: "2M"}, 1, "--store-budget"),
        (KEY, {VARIABLE: "2M"}, 2, VARIABLE),
        (KEY, {}, 3, "-c"),
    ],
)
def test_flag_wins_then_the_variable_then_storm_yaml(
    run: Run,
    daemon: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    environ: dict[str, str],
    mib: int,
    origin: str,
) -> None:
    """Each of the three reaches the daemon, and the nearest one to the user wins."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert run("serve", *args).exit_code == exit_codes.OK
    assert _options(daemon).store_budget_bytes == mib * 2**20
    if args == KEY:
        shown = json.loads(run("config", "--json", *KEY).stdout)
        assert shown["pacemaker.py.store.budget"]["origin"] == origin


def test_every_kind_of_option_can_be_in_storm_yaml(
    run: Run, daemon: Daemon, conf_folder: Path
) -> None:
    """Numbers, lists and mappings are written as YAML has them."""
    (conf_folder / "storm.yaml").write_text(
        "pacemaker.py.bind: '::1'\n"
        "pacemaker.py.io.threads: 2\n"
        "pacemaker.py.hold: 7\n"
        "pacemaker.py.no.history: true\n"
        "pacemaker.py.shared.address: [none]\n"
        "pacemaker.py.address.limit: {connections: 5, stored: 1M}\n"
    )
    result = run("serve")
    assert result.exit_code == exit_codes.OK
    options = _options(daemon)
    assert (options.bind, options.io_threads) == ("::1", 2)
    assert options.history is False
    assert options.hold.cold_s == 7
    assert str(options.hold) == f"7 s ({conf_folder / 'storm.yaml'})"
    assert options.shared_addresses == ()
    assert options.address_limits == AddressLimits(connections=5, stored_bytes=2**20)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("store.budget", "lots", "is not a size above 0"),
        ("hold", "101", "0<=x<=100"),
        ("bind", "[a, b]", "must be a string, a number"),
        ("address.limit", "{conections: 5}", "NAME must be one of"),
    ],
)
def test_wrong_value_in_storm_yaml_names_file_key_and_what_is_allowed(
    run: Run, daemon: Daemon, conf_folder: Path, key: str, value: str, allowed: str
) -> None:
    """It is an error of the configuration, for `serve` and for `config --check`."""
    (conf_folder / "storm.yaml").write_text(f"pacemaker.py.{key}: {value}\n")
    for command in (("serve",), ("config", "--check")):
        result = run(*command)
        assert result.exit_code == exit_codes.WRONG_CONFIGURATION
        assert f"storm.yaml: pacemaker.py.{key}: " in result.stderr
        assert allowed in result.stderr


def test_wrong_variable_is_named(
    run: Run, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the variable's name, because no flag was typed."""
    monkeypatch.setenv("STORM_PACEMAKER_HOLD", "long")
    result = run("serve")
    assert result.exit_code == exit_codes.USAGE
    assert "STORM_PACEMAKER_HOLD" in result.stderr


def test_unknown_keys_and_variables_cause_a_warning(
    run: Run, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt option must not be silently left out."""
    monkeypatch.setenv("STORM_PACEMAKER_STOER_BUDGET", "1M")
    result = run("serve", "-c", "pacemaker.py.hodl=5")
    assert "did you mean pacemaker.py.hold?" in result.stderr
    assert (
        "unknown variable STORM_PACEMAKER_STOER_BUDGET; did you mean" in result.stderr
    )


def test_variables_of_others_are_left_alone() -> None:
    """Only a name that is close to one of ours is taken for a mistake."""
    options = [each for every in all_daemon_options(main).values() for each in every]
    environ = {"STORM_PACEMAKER_CACHE": "/x", "STORM_PACEMAKER_HOLD": "5"}
    assert list(misspelt_variables(options, environ)) == []


def test_names_follow_from_the_flag_and_the_command() -> None:
    """`serve` has the short names; other commands have their own."""
    serves = DaemonOption(["--io-threads"])
    assert (serves.key, serves.envvar) == (
        "pacemaker.py.io.threads",
        "STORM_PACEMAKER_IO_THREADS",
    )
    relays = DaemonOption(["--bind", "bind_address"], scope="relay")
    assert (relays.key, relays.envvar) == (
        "pacemaker.py.relay.bind",
        "STORM_PACEMAKER_RELAY_BIND",
    )


def _options_of(command: str) -> dict[str | None, click.Option]:
    return {
        parameter.name: parameter
        for parameter in main.commands[command].params
        if isinstance(parameter, click.Option) and not parameter.hidden
    }


@pytest.mark.parametrize("command", ["serve", "relay"])
def test_every_option_of_a_daemon_can_be_set_elsewhere(command: str) -> None:
    """What to read cannot be in what is read; the level is a key of its own."""
    visible = _options_of(command)
    elsewhere = {option.name for option in all_daemon_options(main)[command]}
    assert visible.keys() - elsewhere == {"config_file", "overrides", "log_level"}
    assert visible["config_file"].envvar == "STORM_PACEMAKER_CONFIG"
    assert visible["log_level"].envvar == "STORM_PACEMAKER_LOG_LEVEL"


def test_every_option_of_observe_can_be_set_elsewhere() -> None:
    """Its level is not that of the daemons."""
    elsewhere = {option.name for option in all_daemon_options(main)["observe"]}
    assert _options_of("observe").keys() - elsewhere == {"config_file", "overrides"}


SAMPLES = {
    "--address-limit": "connections=5",
    "--admin": "127.0.0.1:0",
    "--admin-host": "pm1",
    "--bind": "127.0.0.1",
    "--buffer-budget": "5M",
    "--hold": "7",
    "--http": "127.0.0.1:0",
    "--http-host": "pm1",
    "--io-threads": "3",
    "--log-format": "json",
    "--log-level": "debug",
    "--no-history": "true",
    "--no-zookeeper": "true",
    "--server": "pm1",
    "--shared-address": "none",
    "--store-budget": "6M",
    "--timeout": "7",
    "--to": "pm1",
}
"""For each flag but those of a file, a value that is not the default."""

EVERY_OPTION = [
    pytest.param(command, option, id=option.key)
    for command, options in all_daemon_options(main).items()
    for option in options
]


@pytest.mark.parametrize(("command", "option"), EVERY_OPTION)
def test_each_option_is_a_flag_a_variable_and_a_key(
    command: str,
    option: DaemonOption,
    run: Run,
    conf_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All three give the same value, in this order, and `config` names the origin."""
    flag, variable = option.opts[0], str(option.envvar)
    token_file = conf_folder / "token"
    token_file.write_text("secret")
    sample = str(token_file) if flag.endswith("-token-file") else SAMPLES[flag]
    storm_yaml = conf_folder / "storm.yaml"

    def origin_and_value(*args: str) -> tuple[str, object]:
        configuration = load_configuration({"STORM_CONF_DIR": str(conf_folder)})
        root = click.Context(main)
        with main.commands[command].make_context(command, [*args], root) as ctx:
            chosen = choose(ctx, configuration)[str(option.name)]
        return chosen.origin, chosen.value

    def shown_origin() -> str:
        shown = json.loads(run("config", "--json").stdout)[option.key]
        assert (shown["flag"], shown["variable"]) == (flag, variable)
        return str(shown["origin"])

    storm_yaml.write_text("pacemaker.port: 6699\n")
    origin, default = origin_and_value()
    assert (origin, shown_origin()) == ("default", "default")

    storm_yaml.write_text(f"{option.key}: {sample}\n")
    origin, value = origin_and_value()
    assert (origin, shown_origin()) == (str(storm_yaml), str(storm_yaml))
    assert value != default

    monkeypatch.setenv(variable, sample)
    assert origin_and_value() == (variable, value)
    assert shown_origin() == variable

    typed = [flag] if option.is_flag else [flag, sample]
    assert origin_and_value(*typed) == (flag, value)


def test_config_shows_the_level_of_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one key of Storm's kind with a variable, which wins over the file."""
    key = ("-c", "pacemaker.log.level=error")
    named = {"flag": "--log-level", "variable": "STORM_PACEMAKER_LOG_LEVEL"}
    level = json.loads(run("config", "--json", *key).stdout)["pacemaker.log.level"]
    assert level == {"value": "error", "origin": "-c"} | named
    monkeypatch.setenv("STORM_PACEMAKER_LOG_LEVEL", "debug")
    level = json.loads(run("config", "--json", *key).stdout)["pacemaker.log.level"]
    assert level == {"value": "debug", "origin": "STORM_PACEMAKER_LOG_LEVEL"} | named


def test_config_shows_defaults_that_need_no_daemon(run: Run) -> None:
    """Numbers and flags have a value even if nobody has set it."""
    shown = json.loads(run("config", "--json").stdout)
    assert shown["pacemaker.py.observe.timeout"]["value"] == 5.0
    assert shown["pacemaker.py.no.history"]["value"] is False


def test_keys_of_two_commands_differ() -> None:
    """No key and no variable means two options."""
    options = [each for every in all_daemon_options(main).values() for each in every]
    assert len({option.key for option in options}) == len(options)


def test_config_names_flag_and_variable(run: Run) -> None:
    """Programs find out how else a value could be set."""
    shown = json.loads(run("config", "--json").stdout)
    assert shown["pacemaker.py.hold"] == {
        "value": None,
        "origin": "default",
        "flag": "--hold",
        "variable": "STORM_PACEMAKER_HOLD",
    }
    assert shown["pacemaker.port"] == {"value": 6699, "origin": "default"}


def test_config_shows_no_secret_as_json(run: Run) -> None:
    """A secret has its origin, and no value."""
    secret = "storm.zookeeper.auth.payload"
    shown = json.loads(run("config", "--json", "-c", f"{secret}=a:b").stdout)
    assert shown[secret] == {"value": None, "origin": "-c", "is_secret": True}
