"""What the client commands share: servers, paths, credentials, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import ServerAddress
from pacemaker.sasl.digest import DigestServer, digest_secret
from pacemaker.sasl.secret import Secret
from tests.cli.conftest import Run
from tests.cli.stored import DEAD, store
from tests.client.daemons import daemon

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


@pytest.mark.parametrize("command", ["get", "ls", "rm"])
def test_path_must_be_utf8(run: Run, command: str) -> None:
    """A path that cannot be sent is an error of the command line."""
    result = run(command, "/w\udcff")
    assert result.exit_code == exit_codes.USAGE
    assert "must be UTF-8" in result.stderr


@pytest.mark.parametrize("command", ["get", "ls", "exists", "put", "rm"])
def test_path_begins_with_a_slash(run: Run, command: str) -> None:
    """A path without one names nothing that Storm has: the error shows it with one."""
    result = run(command, "w/\n1")
    assert result.exit_code == exit_codes.USAGE
    assert "must begin with a slash: /w/\\n1\n" in result.stderr


def test_dead_server_is_warned_of(run: Run, server: ServerAddress) -> None:
    """What the others have is shown, and who had no part in it is said."""
    store(server, "/w/1")
    result = run("ls", "/w", "-c", f"pacemaker.servers=[{server}, '{DEAD}']")
    assert (result.exit_code, result.stdout) == (exit_codes.OK, "1\n")
    assert result.stderr == (
        f"Warning: no answer from {DEAD} (Connection refused);"
        " results do not include it\n"
    )


@pytest.mark.parametrize(
    "words",
    [("ls", "/w"), ("get", "/w"), ("exists", "/w"), ("rm", "/w"), ("put", "/w")],
)
def test_no_server_is_one_line(run: Run, words: tuple[str, ...]) -> None:
    """Where none answers the error says which server, and why."""
    result = run(*words, "--server", DEAD)
    assert result.exit_code == exit_codes.NO_ANSWER
    assert result.output == f"Error: no server answered: {DEAD}: Connection refused\n"


def test_url_is_no_server(run: Run) -> None:
    """Pasted from a browser, an address has to lose its scheme."""
    result = run("ping", "--server", "http://pm1:6699")
    assert result.exit_code == exit_codes.USAGE
    assert "it is a URL" in result.stderr


def test_wrong_server_is_an_error_of_the_option(run: Run) -> None:
    """What is no address is the command line's fault."""
    result = run("ping", "--server", "a:b")
    assert result.exit_code == exit_codes.USAGE
    assert "'--server': must be HOST or HOST:PORT" in result.stderr


def test_this_host_is_asked_if_no_server_is_named(
    run: Run, conf_folder: Path, server: ServerAddress
) -> None:
    """The port is storm.yaml's, and a line on stderr says who is asked."""
    store(server, "/w/1")
    note = f"Note: pacemaker.servers names no server: asking localhost:{server.port}\n"
    for servers in ("", "pacemaker.servers: []\n"):
        (conf_folder / "storm.yaml").write_text(
            f"pacemaker.port: {server.port}\n{servers}"
        )
        result = run("ls", "--json", "/w")
        assert (result.stdout, result.stderr) == ('[\n  "1"\n]\n', note)


def test_port_zero_is_no_port_to_ask(run: Run, conf_folder: Path) -> None:
    """A daemon on a free port of its own choice has to be named with it."""
    (conf_folder / "storm.yaml").write_text("pacemaker.port: 0\n")
    result = run("ping")
    assert result.exit_code == exit_codes.WRONG_CONFIGURATION
    assert "pacemaker.port: 0: a client needs to know the port" in result.stderr


def test_deprecated_host_is_a_server(
    run: Run, conf_folder: Path, server: ServerAddress
) -> None:
    """A configuration of Storm 1.x is enough."""
    (conf_folder / "storm.yaml").write_text(
        f"pacemaker.host: {server.host}\npacemaker.port: {server.port}\n"
    )
    assert run("ping").exit_code == exit_codes.OK


def test_credentials_come_from_the_jaas_file(run: Run, tmp_path: Path) -> None:
    """Under DIGEST the commands read; without it, or with another secret, not."""
    jaas_file = tmp_path / "jaas.conf"
    jaas_file.touch(0o600)
    jaas_file.write_text('PacemakerDigest { m.C required username=u password="p"; };')
    options = ["-c", f"java.security.auth.login.config={jaas_file}"]
    options += ["-c", "pacemaker.auth.method=DIGEST"]
    secret = digest_secret("u", Secret("p"))
    with daemon(lambda: DigestServer(secret)) as address:
        to_server = ("--server", str(address))
        store(address, "/w")
        result = run("exists", "/w", *to_server, *options)
        assert result.stdout == "yes\n"
        refused = run("get", "/w", *to_server)
        assert refused.exit_code == exit_codes.NOT_AUTHORIZED
        assert refused.stderr == f"Error: {address}: may not read\n"
        jaas_file.write_text("PacemakerDigest { m.C required username=u password=q; };")
        wrong = run("get", "/w", *to_server, *options)
        assert wrong.exit_code == exit_codes.NO_ANSWER
        assert "are the credentials right?" in wrong.stderr
