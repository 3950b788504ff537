"""Merged layers: which value wins, the checks, and the notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.config import AuthMethod, Configuration, Settings
from pacemaker.config.layers import Layer, merge, option_layers
from pacemaker.config.yaml_reader import Timestamp
from pacemaker.errors import ConfigError


def merged(*layers: dict[str, object]) -> Configuration:
    """Merge layers named after their place: file 0, file 1, ..."""
    return merge(
        Layer(f"file {number}", values) for number, values in enumerate(layers)
    )


def refused(key: str, value: object) -> str:
    """Return the error that this value of a key gives."""
    with pytest.raises(ConfigError) as caught:
        merged({key: value})
    return str(caught.value)


def test_nothing_read_gives_storms_defaults() -> None:
    """Without a layer all values are the defaults, and say so."""
    configuration = merge([])
    assert configuration.settings == Settings()
    assert set(configuration.origins.values()) == {"default"}
    assert configuration.notes == ()


def test_later_layer_wins_key_by_key() -> None:
    """A key has the value of the last layer that holds it, and its origin."""
    configuration = merged(
        {"pacemaker.port": 1, "pacemaker.max.threads": 2}, {"pacemaker.port": 3}
    )
    assert configuration.settings.port == 3
    assert configuration.settings.max_threads == 2
    assert configuration.origins["port"] == "file 1"
    assert configuration.origins["max_threads"] == "file 0"


def test_wrong_value_that_is_overridden_does_no_harm() -> None:
    """Only the values that take effect are checked, as Storm checks them."""
    configuration = merged({"pacemaker.port": "wrong"}, {"pacemaker.port": 6700})
    assert configuration.settings.port == 6700


def test_every_key_reaches_its_field() -> None:
    """Each key that is known here fills the field of Settings that it is for."""
    configuration = merged(
        {
            "pacemaker.port": 0,
            "pacemaker.max.threads": 1,
            "pacemaker.auth.method": "KERBEROS",
            "pacemaker.thrift.message.size.max": 100,
            "pacemaker.log.level": "WARNING",
            "java.security.auth.login.config": "/etc/jaas",
            "nimbus.daemon.user": "storm",
            "pacemaker.servers": ["a", "b"],
            "pacemaker.client.max.threads": 4,
            "storm.zookeeper.servers": ["z"],
            "storm.zookeeper.port": 2182,
            "storm.zookeeper.root": "/s",
            "storm.zookeeper.session.timeout": 5,
            "storm.zookeeper.connection.timeout": 6,
            "storm.zookeeper.auth.scheme": "digest",
            "storm.zookeeper.auth.payload": "u:p",
        }
    )
    assert configuration.settings == Settings(
        port=0,
        max_threads=1,
        auth_method=AuthMethod.KERBEROS,
        message_size_max_bytes=100,
        log_level="warning",
        jaas_file=Path("/etc/jaas"),
        nimbus_daemon_user="storm",
        servers=("a", "b"),
        client_max_threads=4,
        zookeeper_servers=("z",),
        zookeeper_port=2182,
        zookeeper_root="/s",
        zookeeper_session_timeout_ms=5,
        zookeeper_connection_timeout_ms=6,
        zookeeper_auth_scheme="digest",
        zookeeper_auth_payload="u:p",
    )


@pytest.mark.parametrize(
    "key",
    [
        "pacemaker.port",
        "pacemaker.max.threads",
        "pacemaker.thrift.message.size.max",
        "pacemaker.client.max.threads",
        "storm.zookeeper.port",
        "storm.zookeeper.session.timeout",
    ],
)
@pytest.mark.parametrize(
    "value", ["6699", 6699.0, True, -1, 2**31, [6699], {}, Timestamp("2024-01-02")]
)
def test_number_is_refused_where_storm_would_fail(key: str, value: object) -> None:
    """A number in quotes, a float, a negative or too large one stops the start."""
    error = refused(key, value)
    assert error.startswith(f"file 0: {key}: ")
    assert "must be an integer from" in error


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pacemaker.max.threads", 0),
        ("pacemaker.thrift.message.size.max", 0),
        ("pacemaker.port", 65536),
        ("storm.zookeeper.port", 0),
    ],
)
def test_number_has_its_bounds(key: str, value: int) -> None:
    """A number just outside of what is allowed stops the start."""
    assert f"{key}: {value}: must be an integer from" in refused(key, value)


@pytest.mark.parametrize(
    "key",
    [
        "pacemaker.port",
        "pacemaker.max.threads",
        "pacemaker.auth.method",
        "pacemaker.thrift.message.size.max",
    ],
)
def test_null_is_refused_where_storms_daemon_needs_a_value(key: str) -> None:
    """A null in a key that the daemon uses stops the start."""
    assert refused(key, None).startswith(f"file 0: {key}: null: must be ")


def test_null_elsewhere_is_the_default() -> None:
    """A null in any other key counts as not set, but its origin is known."""
    configuration = merged(
        {
            "nimbus.daemon.user": None,
            "storm.zookeeper.root": None,
            "pacemaker.host": None,
        }
    )
    assert configuration.settings == Settings()
    assert configuration.origins["zookeeper_root"] == "file 0"


@pytest.mark.parametrize("value", ["none", "SIMPLE", "", 5, ["NONE"], True])
def test_auth_method_is_one_of_three(value: object) -> None:
    """Only the three names, in capitals, are authentication methods."""
    assert "must be NONE, DIGEST or KERBEROS" in refused("pacemaker.auth.method", value)


@pytest.mark.parametrize("value", ["host", ["a", None], [1], {"a": "b"}, 5])
def test_servers_are_a_list_of_strings(value: object) -> None:
    """A single string, or anything but strings in the list, stops the start."""
    assert "must be a list of strings" in refused("pacemaker.servers", value)


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (
            "storm.zookeeper.servers",
            ["zk1", "zk2:2181"],
            "['zk1', 'zk2:2181']: must be a list of hosts without ports, such as "
            "[host1, host2]; 'zk2:2181' is not one ("
            "storm.zookeeper.port sets their port)",
        ),
        (
            "storm.zookeeper.servers",
            [],
            "[]: must name at least one host, such as [host1, host2]",
        ),
        (
            "pacemaker.servers",
            ["a", "a..b"],
            "['a', 'a..b']: must be a list of HOST or HOST:PORT, such as [host1, "
            "host2:6700]; 'a..b' is neither",
        ),
        (
            "pacemaker.host",
            "http://pm1",
            "'http://pm1': must be HOST or HOST:PORT, with an IPv6 address in brackets",
        ),
    ],
)
def test_host_is_refused_where_it_is_read(key: str, value: object, error: str) -> None:
    """The error of a wrong host names key, item and what is allowed."""
    assert refused(key, value) == f"file 0: {key}: {error}"


@pytest.mark.parametrize(
    "key", ["nimbus.daemon.user", "storm.zookeeper.root", "pacemaker.host"]
)
def test_string_is_a_string(key: str) -> None:
    """A value that YAML takes for another type stops the start."""
    assert f"{key}: 2024-01-02: must be a string" in refused(
        key, Timestamp("2024-01-02")
    )


def test_host_stands_in_for_servers() -> None:
    """The deprecated pacemaker.host is the one server where no servers are set."""
    configuration = merged({"pacemaker.host": "old"})
    assert configuration.settings.servers == ("old",)
    assert configuration.origins["servers"] == "pacemaker.host in file 0"
    assert [note.text for note in configuration.notes] == [
        "pacemaker.host is deprecated; use pacemaker.servers"
    ]


@pytest.mark.parametrize("servers", [["new"], []])
def test_servers_win_over_host(servers: list[str]) -> None:
    """A list of servers, even an empty one, is the answer; host is not asked."""
    configuration = merged({"pacemaker.host": "old", "pacemaker.servers": servers})
    assert configuration.settings.servers == tuple(servers)


@pytest.mark.parametrize(
    ("childopts", "jaas_file"),
    [
        ("-Xmx1g -Djava.security.auth.login.config=/opt", Path("/opt")),
        ("'-Djava.security.auth.login.config=/a b'", Path("/a b")),
        (
            "-Djava.security.auth.login.config=/1 -Djava.security.auth.login.config=/2",
            Path("/2"),
        ),
        (["-Xmx1g", "-Djava.security.auth.login.config=/list"], Path("/list")),
        ("-Xmx1g", Path("/key")),
        (None, Path("/key")),
        ("-Djava.security.auth.login.config=", None),
    ],
)
def test_option_of_the_jvm_names_the_jaas_file(
    childopts: object, jaas_file: Path | None
) -> None:
    """The option in pacemaker.childopts, the last one, wins over the key."""
    configuration = merged(
        {"java.security.auth.login.config": "/key", "pacemaker.childopts": childopts}
    )
    assert configuration.settings.jaas_file == jaas_file


@pytest.mark.parametrize(
    ("childopts", "properties"),
    [
        ("-Xmx1g -Da.b=c '-Dd=e f=g'", (("a.b", "c"), ("d", "e f=g"))),
        (["-Da=b", "-Dempty= -Dalone"], (("a", "b"), ("empty", ""), ("alone", ""))),
        ("-Da=1 -Da=2", (("a", "1"), ("a", "2"))),
        ("-Xmx1g", ()),
        (None, ()),
    ],
)
def test_options_of_the_jvm_set_properties(
    childopts: object, properties: tuple[tuple[str, str], ...]
) -> None:
    """Each -D of pacemaker.childopts is a property for the JAAS file, and hidden."""
    settings = merged({"pacemaker.childopts": childopts}).settings
    assert settings.java_properties == properties
    assert "e f" not in repr(settings)


@pytest.mark.parametrize("childopts", ["'open", 5, [1]])
def test_childopts_are_checked_and_not_shown(childopts: object) -> None:
    """Options that the launcher could not use stop the start, without their text."""
    error = refused("pacemaker.childopts", childopts)
    assert error.startswith("file 0: pacemaker.childopts: (not shown): must ")


def test_secret_is_in_no_error_and_no_repr() -> None:
    """The payload for ZooKeeper is neither in the repr nor in an error."""
    payload = "storm.zookeeper.auth.payload"
    assert "hunter2" not in repr(merged({payload: "user:hunter2"}))
    assert refused(payload, ["hunter2"]) == (
        f"file 0: {payload}: (not shown): must be a string"
    )


def test_error_shows_a_bounded_value() -> None:
    """Neither a huge value nor a bomb of aliases makes a long error."""
    bomb: object = "x"
    for _ in range(40):
        bomb = [bomb] * 9
    for value in ("x" * 10_000, 10**1000, bomb):
        assert len(refused("pacemaker.port", value)) < 200


def test_notes_name_what_has_no_effect() -> None:
    """Keys that nobody reads here are accepted, whatever they hold, and named."""
    configuration = merged(
        {
            "pacemaker.thread.timeout": "x",
            "pacemaker.base.threads": None,
            "pacemaker.kerberos.users": [],
            "pacemaker.childopts": "-Xmx1g",
            "pacemaker.client.max.threads": 2,
        }
    )
    (note,) = configuration.notes
    assert not note.is_warning
    assert note.text == (
        "without effect here: pacemaker.client.max.threads, pacemaker.base.threads,"
        " pacemaker.kerberos.users, pacemaker.thread.timeout, pacemaker.childopts"
    )


@pytest.mark.parametrize(
    ("childopts", "named"),
    [
        (None, ()),
        ("", ()),
        ("-Dname=value", ()),
        ("-Djava.security.auth.login.config=/jaas", ()),
        ("-Xmx1g", ("pacemaker.childopts",)),
        ("-Xmx1g -Dname=value", ("the rest of pacemaker.childopts",)),
        (["-Xmx1g", "-Dname=value"], ("the rest of pacemaker.childopts",)),
    ],
)
def test_note_names_only_the_options_of_the_jvm_that_are_not_used(
    childopts: object, named: tuple[str, ...]
) -> None:
    """A -D supplies the JAAS file, or a value for ${...} in it."""
    notes = merged({"pacemaker.childopts": childopts}).notes
    assert [note.text for note in notes] == [
        f"without effect here: {each}" for each in named
    ]


def test_notes_warn_of_an_unknown_key_of_pacemaker() -> None:
    """A key that looks like ours and is none, a typing error say, is warned of."""
    configuration = merged({"pacemaker.prot": 1, "nimbus.seeds": ["n"]})
    (note,) = configuration.notes
    assert note.is_warning
    assert note.text == (
        "unknown key 'pacemaker.prot' is ignored; did you mean pacemaker.port?"
    )


def test_options_are_split_at_the_first_equals_sign() -> None:
    """An option is a key and a loosely read value; it may hold more signs."""
    layers, notes = option_layers(["a=1", "b=x=y", "c="])
    assert [layer.values for layer in layers] == [{"a": 1}, {"b": "x=y"}, {"c": ""}]
    assert {layer.source for layer in layers} == {"-c"}
    assert notes == []


def test_option_without_equals_sign_is_warned_of() -> None:
    """Storm ignores it silently; so much is said about it here."""
    layers, (note,) = option_layers(["pacemaker.port"])
    assert layers == []
    assert note.is_warning
    assert note.text == "-c 'pacemaker.port' is ignored: it is not KEY=VALUE"
