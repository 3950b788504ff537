"""Ignored keys that look like a known key."""

from __future__ import annotations

import pytest

from pacemaker.config.keys import KNOWN_PACEMAKER_KEYS
from pacemaker.config.layers import Layer, merge
from pacemaker.config.lookalikes import ignored_keys


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pacemaker.prot", "pacemaker.port"),
        ("pacemaker.server", "pacemaker.servers"),
        ("pacemaker.max.thread", "pacemaker.max.threads"),
        ("pacmaker.port", "pacemaker.port"),
        ("pacemakers.servers", "pacemaker.servers"),
        ("pacemaker_port", "pacemaker.port"),
        ("pacemaker/port", "pacemaker.port"),
        ("pacemakerport", "pacemaker.port"),
        ("Pacemaker.Port", "pacemaker.port"),
        ("PACEMAKER_AUTH_METHOD", "pacemaker.auth.method"),
        ("nimbus.deamon.user", "nimbus.daemon.user"),
        ("storm.zookeeper.server", "storm.zookeeper.servers"),
        ("storm.zookeper.root", "storm.zookeeper.root"),
        ("java.security.auth.login.conf", "java.security.auth.login.config"),
    ],
)
def test_misspelt_key_is_named_with_the_one_that_is_meant(
    name: str, meant: str
) -> None:
    """A slip of a letter, a dot or a capital is found, in any key that is read."""
    assert list(ignored_keys({name: 1})) == [
        f"unknown key '{name}' is ignored; did you mean {meant}?"
    ]


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("\u00a0 pacemaker.port", "U+00A0 (no-break space)"),
        (" pacemaker.port", "U+0020 (space)"),
        ("pacemaker.port\u200b", "U+200B (zero width space)"),
        ("\ufeffpacemaker.port", "U+FEFF (zero width no-break space)"),
        ("\u3000pacemaker.port", "U+3000 (ideographic space)"),
        ("pacemaker.\u00adport", "U+00AD (soft hyphen)"),
    ],
)
def test_blank_in_a_key_is_named(name: str, odd: str) -> None:
    """A character that nobody sees makes another key, and is named by its number."""
    (sentence,) = ignored_keys({name: 1})
    assert sentence.endswith(
        f" is ignored: it contains {odd}; did you mean pacemaker.port?"
    )
    assert sentence.isprintable()


@pytest.mark.parametrize("name", ["pacemaker.foo", "pacemaker.", "pacemaker.sasl"])
def test_unknown_key_of_pacemaker_is_named(name: str) -> None:
    """In Pacemaker's own namespace every key that is not read is named."""
    assert list(ignored_keys({name: 1})) == [f"unknown key '{name}' is ignored"]


@pytest.mark.parametrize(
    "name",
    [
        "nimbus.daemon.users",
        "storm.zookeeper.auth.user",
        "storm.zookeeper.superACL",
        "storm.zookeeper.auth.password",
        "nimbus.seeds",
        "ui.port",
        "drpc.servers",
        "my.pacemaker.port",
        "topology.pacemaker.port",
        "port",
        "",
        "transactional.zookeeper.servers",
        "transactional.zookeeper.port",
    ],
)
def test_other_key_is_passed_over(name: str) -> None:
    """Neither Storm's other keys nor those of a user's topology are warned of."""
    for value in (None, 7000, ["pacemaker.port"], {"x": {"port": 1}, "y": 2}):
        assert not list(ignored_keys({name: value}))


@pytest.mark.parametrize(
    ("value", "where", "meant"),
    [
        ({"pacemaker": {"port": 1}}, "'port' in 'pacemaker'", "pacemaker.port"),
        ({"pacemaker": {"prot": 1}}, "'prot' in 'pacemaker'", "pacemaker.port"),
        (
            {"pacemaker": {"auth": {"method": "DIGEST"}}},
            "'method' in 'auth' in 'pacemaker'",
            "pacemaker.auth.method",
        ),
        (
            {"pacemaker": {"auth.method": "DIGEST"}},
            "'auth.method' in 'pacemaker'",
            "pacemaker.auth.method",
        ),
        (
            {"storm": {"zookeeper": {"servers": ["a"], "x": {1: 2}}}},
            "'servers' in 'zookeeper' in 'storm'",
            "storm.zookeeper.servers",
        ),
        (
            {"java": {"security": {"auth": {"login": {"config": "f"}}}}},
            "'config' in 'login' in 'auth' in 'security' in 'java'",
            "java.security.auth.login.config",
        ),
        (
            {"nimbus.seeds": {"pacemaker.port": 7000}},
            "'pacemaker.port' in 'nimbus.seeds'",
            "pacemaker.port",
        ),
    ],
)
def test_key_below_another_is_named(
    value: dict[str, object], where: str, meant: str
) -> None:
    """A key that is nested, or belongs to the line above by its indentation."""
    assert list(ignored_keys(value)) == [
        f"{where} is ignored: keys cannot be nested; did you mean {meant}, at the "
        "beginning of its line?"
    ]


def test_key_that_is_read_is_not_warned_of() -> None:
    """Whatever a key that is known holds, it is not ignored."""
    assert not list(ignored_keys({key: {"port": 1} for key in KNOWN_PACEMAKER_KEYS}))


def test_value_that_holds_itself_is_not_followed_for_ever() -> None:
    """YAML's aliases can make a mapping a part of itself."""
    loop: dict[str, object] = {}
    loop["a"] = loop
    assert not list(ignored_keys({"x": loop}))


def test_warnings_are_bounded() -> None:
    """A file of nothing but such keys does not fill the log."""
    values: dict[str, object] = {f"pacemaker.{number}": 1 for number in range(1000)}
    notes = merge([Layer("f", values), Layer("g", values)]).notes
    assert len(notes) == 20
    assert len({note.text for note in notes}) == 20
