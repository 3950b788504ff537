"""`ping`, `ls`, `get`, `exists`, `put` and `rm`, over daemons in this process."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.cli import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    SpoutStats,
    WorkerHeartbeat,
)
from pacemaker.sasl.digest import DigestServer, digest_secret
from pacemaker.sasl.secret import Secret
from tests.cli.conftest import Run
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

TOPOLOGY = "words-1-1700000000"
BEAT = f"/workerbeats/{TOPOLOGY}/7a4e-6700"
DEAD = "127.0.0.1:1"

SPOUT = ExecutorStats(
    {":all-time": {"default": 30, "__ack": 4}, "600": {"default": 1}},
    {":all-time": {"default": 20}},
    SpoutStats({":all-time": {"default": 10}}, {}, {}),
    1.0,
)
BOLT = ExecutorStats({}, {}, BoltStats({}, {}, {}, {}, {}), 1.0)


@pytest.fixture
def server() -> Iterator[ServerAddress]:
    """Start a daemon."""
    with daemon() as address:
        yield address


@pytest.fixture(autouse=True)
def _configured(conf_folder: Path, server: ServerAddress) -> None:
    """Name the daemon in storm.yaml."""
    (conf_folder / "storm.yaml").write_text(f'pacemaker.servers: ["{server}"]\n')


def heartbeat(age_secs: int = 75) -> WorkerHeartbeat:
    """Return a heartbeat of a spout and a bolt."""
    executors = {ExecutorInfo(1, 1): SPOUT, ExecutorInfo(2, 4): BOLT}
    return WorkerHeartbeat(TOPOLOGY, int(time.time()) - age_secs, 3700, executors)


def store(server: ServerAddress, path: str, details: bytes = b"x") -> None:
    """Store a value."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        connection.request(requests.send_pulse(path, details))


def test_ping_says_that_the_server_answers(run: Run, server: ServerAddress) -> None:
    """One line for each server, and exit code 0."""
    result = run("ping")
    assert result.exit_code == exit_codes.OK
    assert result.stdout.split()[:2] == [str(server), "answers"]
    assert result.stderr == ""


def test_ping_fails_where_one_server_does(run: Run, server: ServerAddress) -> None:
    """Each server is named with its reason, and the exit code says try later."""
    result = run("ping", "-c", f"pacemaker.servers=[{server}, '{DEAD}']", "--json")
    assert result.exit_code == exit_codes.NO_ANSWER
    good, bad = json.loads(result.stdout)
    assert (good["server"], good["ok"], good["error"]) == (str(server), True, None)
    assert (bad["server"], bad["ok"]) == (DEAD, False)
    assert bad["error"] == "Connection refused"
    table = run("ping", "--server", DEAD)
    assert table.stdout == f"{DEAD}  fails  Connection refused\n"


def test_ls_lists_names(run: Run, server: ServerAddress) -> None:
    """One name a line, sorted; without a path the topmost names."""
    store(server, "/w/b/1")
    store(server, "/w/a")
    assert run("ls", "/w").stdout == "a\nb\n"
    assert json.loads(run("ls", "--json", "/w").stdout) == ["a", "b"]
    assert run("ls").stdout == "w\n"


@pytest.mark.parametrize("options", [(), ("-l",), ("--json",)])
def test_ls_says_that_nothing_is_below(
    run: Run, server: ServerAddress, options: tuple[str, ...]
) -> None:
    """An empty list is an answer, and a line on stderr tells it from a slip."""
    empty = "[]\n" if options == ("--json",) else ""
    assert run("ls", *options).stderr == "Note: no heartbeats are stored\n"
    store(server, "/w/1")
    for path, why in [("/v", "nothing is below /v"), ("/w/1", "`get` shows it")]:
        result = run("ls", *options, path)
        assert (result.exit_code, result.stdout) == (exit_codes.OK, empty)
        assert why in result.stderr


def test_ls_shows_size_and_age(run: Run, server: ServerAddress) -> None:
    """With -l: a heartbeat, a value that is none, and a directory."""
    details = codec.encode(heartbeat(7200))
    store(server, "/w/beat", details)
    store(server, "/w/odd", b"xyz")
    store(server, "/w/sub/1")
    lines = [line.split() for line in run("ls", "-l", "/w").stdout.splitlines()]
    assert lines[0] == ["SIZE", "AGE", "NAME"]
    assert lines[1][:3] == [str(len(details)), "2", "h"]
    assert lines[2:] == [["3", "?", "odd"], ["-", "-", "sub/"]]
    beat, odd, sub = json.loads(run("ls", "-l", "--json", "/w/").stdout)
    assert beat["size_bytes"] == len(details)
    assert 7200 <= beat["age_secs"] < 7300
    assert odd == {"name": "odd", "size_bytes": 3, "time_secs": None, "age_secs": None}
    assert sub["size_bytes"] is None


def test_ls_prints_no_control_characters(run: Run, server: ServerAddress) -> None:
    """A key that anybody stored cannot drive the terminal."""
    store(server, "/w/\x1b[2J\n\u202e")
    for options in ((), ("-l",), ("--json",)):
        result = run("ls", *options, "/w")
        assert all(line.isprintable() for line in result.output.splitlines())
        assert "[2J" in result.stdout


def test_get_shows_a_heartbeat(run: Run, server: ServerAddress) -> None:
    """Topology, executors, uptime and age, for people."""
    store(server, BEAT, codec.encode(heartbeat()))
    result = run("get", BEAT)
    assert result.exit_code == exit_codes.OK
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:2] == [["path", BEAT], ["topology", TOPOLOGY]]
    assert lines[2][:3] == ["age", "1", "min"]
    assert lines[3] == ["uptime", "1", "h", "1", "min"]
    assert lines[5] == ["executors", "2"]
    assert lines[7:] == [
        ["TASKS", "KIND", "EMITTED", "TRANSFERRED", "ACKED", "FAILED"],
        ["1-1", "spout", "34", "20", "10", "0"],
        ["2-4", "bolt", "0", "0", "0", "0"],
    ]


def test_get_gives_json(run: Run, server: ServerAddress) -> None:
    """Everything, for programs, with the bytes as they are stored."""
    details = codec.encode(heartbeat())
    store(server, BEAT, details)
    shown = json.loads(run("get", "--json", BEAT).stdout)
    assert base64.b64decode(shown["details"]) == details
    assert shown["problem"] is None
    beat = shown["heartbeat"]
    assert (beat["topology_id"], beat["uptime_secs"]) == (TOPOLOGY, 3700)
    assert beat["age_secs"] >= 75
    assert beat["executors"][0]["emitted"] == 34
    assert [each["kind"] for each in beat["executors"]] == ["spout", "bolt"]


def test_get_shows_other_values_as_bytes(run: Run, server: ServerAddress) -> None:
    """What is no heartbeat is shown with the reason, and is no error."""
    store(server, "/w", b"\x1b[31m" + bytes(300))
    result = run("get", "/w")
    assert result.exit_code == exit_codes.OK
    assert "problem  not a heartbeat" in result.stdout
    assert "00000000  1b 5b 33 31 6d 00" in result.stdout
    assert result.stdout.endswith("\n... and 49 more bytes\n")
    assert all(line.isprintable() for line in result.stdout.splitlines())
    shown = json.loads(run("get", "--json", "/w").stdout)
    assert shown["heartbeat"] is None
    assert shown["problem"].startswith("not a heartbeat")


def test_get_shows_a_time_that_is_none(run: Run, server: ServerAddress) -> None:
    """A worker's clock may be anything, and a heartbeat anybody's."""
    beat = WorkerHeartbeat("t", 2**62, -5, {})
    store(server, "/w", codec.encode(beat, time_bits=64))
    result = run("get", "/w")
    assert result.exit_code == exit_codes.OK
    assert f"made at {2**62} s, which is not a valid time" in result.stdout
    assert "uptime     -5 s" in result.stdout


def test_get_says_that_nothing_is_there(run: Run) -> None:
    """A path without a heartbeat is exit code 1."""
    result = run("get", "/none\n")
    assert result.exit_code == exit_codes.NO
    assert result.stderr == "Error: /none\\n: nothing is stored there\n"


@pytest.mark.parametrize("path", ["/w", "/w/"])
def test_get_of_a_directory_names_ls(
    run: Run, server: ServerAddress, path: str
) -> None:
    """Where only others are stored below, the error says which command shows them."""
    store(server, "/w/1")
    result = run("get", path)
    assert result.exit_code == exit_codes.NO
    message = f"Error: {path}: is a directory: `ls` lists what is below it\n"
    assert result.stderr == message


def test_get_does_not_wait_for_a_hold(run: Run) -> None:
    """A server that holds misses after its start is not taken for a dead one."""
    with daemon(hold_s=100) as address:
        result = run("get", "/w", "--server", str(address))
        assert result.exit_code == exit_codes.NO
        assert "/w: nothing is stored there yet. A server was just" in result.stderr
        store(address, "/w", b"\0")
        assert run("get", "/w", "--server", str(address)).exit_code == exit_codes.OK


@pytest.mark.parametrize(
    ("path", "answer", "code"), [("/w", "yes", exit_codes.OK), ("/v", "no", 1)]
)
def test_exists_answers(
    run: Run, server: ServerAddress, path: str, answer: str, code: int
) -> None:
    """By a word, by JSON and by the exit code."""
    store(server, "/w")
    result = run("exists", path)
    assert (result.stdout, result.exit_code) == (f"{answer}\n", code)
    as_json = run("exists", "--json", path)
    assert (json.loads(as_json.stdout), as_json.exit_code) == (answer == "yes", code)


def test_put_stores_a_file(run: Run, server: ServerAddress, tmp_path: Path) -> None:
    """The bytes of the file, whatever they are."""
    file = tmp_path / "value"
    file.write_bytes(bytes(range(256)))
    result = run("put", "/w", str(file))
    assert (result.exit_code, result.output) == (exit_codes.OK, "")
    with PacemakerConnection(server, timeout_s=30) as connection:
        assert connection.request(requests.get_pulse("/w")) == bytes(range(256))


def test_put_refuses_what_is_too_large(run: Run, tmp_path: Path) -> None:
    """The server would close the connection; the error says what is allowed."""
    file = tmp_path / "value"
    file.write_bytes(bytes(2000))
    result = run("put", "/w", str(file), "-c", "pacemaker.thrift.message.size.max=999")
    assert result.exit_code == exit_codes.USAGE
    assert "999 are allowed" in result.stderr


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


def test_rm_deletes_one_key_without_asking(run: Run, server: ServerAddress) -> None:
    """One key, or a directory with one key in it, or nothing at all."""
    store(server, "/w/t/1")
    for path in ("/none", "/w"):
        result = run("rm", path)
        assert (result.exit_code, result.output) == (exit_codes.OK, "")
    assert run("exists", "/w/t/1").exit_code == exit_codes.NO


@pytest.mark.parametrize(
    "paths",
    [
        ("/w/1", "/w/2"),
        ("/w", "/w/1"),
        ("/w/t/1", "/w/t/1/x"),
        ("/w//1",),
        ("/w" + "/x" * 30,),
    ],
)
def test_rm_asks_before_it_deletes_more(
    run: Run, server: ServerAddress, paths: tuple[str, ...]
) -> None:
    """Where there may be more than one key, only a yes deletes them."""
    for path in paths:
        store(server, path)
    result = run("rm", "/w")
    assert result.exit_code == exit_codes.NO
    assert "more than one heartbeat is stored there" in result.stderr
    assert run("exists", paths[0]).exit_code == exit_codes.OK
    assert run("rm", "--yes", "/w").exit_code == exit_codes.OK
    assert run("exists", paths[0]).exit_code == exit_codes.NO


def test_rm_deletes_after_a_yes(run: Run, server: ServerAddress) -> None:
    """The question can be answered."""
    store(server, "/w/1")
    store(server, "/w/2")
    assert run("rm", "/w", stdin="y\n").exit_code == exit_codes.OK
    assert run("ls", "/w").stdout == ""


# Servers, errors.


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
