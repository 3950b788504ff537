"""Tests of pacemaker.sasl.setup: each method's mechanisms, by the method's name."""

from __future__ import annotations

import builtins
import itertools
import os
import sys
from pathlib import Path

import pytest

from pacemaker.config.settings import AuthMethod, Settings
from pacemaker.errors import ConfigError
from pacemaker.sasl.setup import (
    default_state_directory,
    set_up_client,
    set_up_server,
)
from tests.sasl.exchange import run_exchange
from tests.sasl.responses import SECRET_HEX, USER

SAMPLE = 'PacemakerDigest {\n    username="u"\n    password="p";\n};\n'


@pytest.fixture
def digest(tmp_path: Path) -> Settings:
    """Give the settings of a DIGEST cluster, with the sample of Storm's pages."""
    jaas_file = tmp_path / "jaas.conf"
    jaas_file.write_text(SAMPLE)
    jaas_file.chmod(0o600)
    return Settings(auth_method=AuthMethod.DIGEST, jaas_file=jaas_file)


def test_none_has_no_mechanism() -> None:
    """Under NONE nobody has to authenticate, and no file is looked at."""
    settings = Settings(jaas_file=Path("/no/such/file"))
    assert set_up_server(settings)[:2] == (None, ())
    assert set_up_client(settings) == (None, ())


def test_digest_makes_a_pair_that_agrees(digest: Settings) -> None:
    """Both ends, made from the same settings, authenticate to each other."""
    server_side = set_up_server(digest)
    client_side = set_up_client(digest)
    assert server_side.factory
    assert client_side.factory
    client, server = client_side.factory("localhost"), server_side.factory()
    run_exchange(client, server)
    assert client.complete
    assert server.user == USER
    assert server_side.notes == client_side.notes
    assert "a JVM refuses" in server_side.notes[0]


def test_digest_takes_its_password_from_an_option_of_the_jvm(tmp_path: Path) -> None:
    """A -D of pacemaker.childopts is put in for ${...}, and decides who may read."""
    jaas_file = tmp_path / "jaas.conf"
    jaas_file.write_text(
        'PacemakerDigest { m.C required username="u" password="${pm.secret}"; };'
    )
    first, same, other = [
        set_up_server(
            Settings(
                auth_method=AuthMethod.DIGEST,
                jaas_file=jaas_file,
                java_properties=(("pm.secret", password),),
            )
        ).identity
        for password in ("p", "p", "q")
    ]
    assert first == same != other


def test_identity_changes_with_whatever_decides_who_may_read(tmp_path: Path) -> None:
    """Another method, user or password is another identity; the file's name is not."""
    files = []
    for name, password in (("a", "p"), ("b", "p"), ("c", "other")):
        file = tmp_path / name
        file.write_text(SAMPLE.replace('"p"', f'"{password}"'))
        file.chmod(0o600)
        files.append(file)
    none, digest = AuthMethod.NONE, AuthMethod.DIGEST
    same, also_same, *others = [
        set_up_server(settings).identity
        for settings in (
            Settings(auth_method=digest, jaas_file=files[0]),
            Settings(auth_method=digest, jaas_file=files[1]),
            Settings(auth_method=digest, jaas_file=files[2]),
            Settings(auth_method=none, jaas_file=files[0]),
            Settings(
                auth_method=digest, jaas_file=files[0], nimbus_daemon_user="nimbus"
            ),
        )
    ]
    assert same == also_same
    assert same not in others
    assert all(other != none for other, none in itertools.combinations(others, 2))


def test_each_connection_has_its_own_mechanism(digest: Settings) -> None:
    """A factory makes a new exchange, with a new nonce, each time."""
    factory = set_up_server(digest).factory
    assert factory
    assert factory().step(b"") != factory().step(b"")


def test_digest_without_a_file_ends_the_start() -> None:
    """DIGEST is never served without its secret."""
    with pytest.raises(ConfigError, match="section PacemakerDigest"):
        set_up_server(Settings(auth_method=AuthMethod.DIGEST))


@pytest.mark.parametrize("module", ["gss", "gss_client"])
def test_kerberos_without_its_packages_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Where the extra is missing, the error has the line that installs it."""
    import_as_usual = builtins.__import__

    def import_without_gssapi(name: str, *args: object, **kwargs: object) -> object:
        if name.partition(".")[0] in ("gssapi", "kerberos"):
            raise ImportError(name)
        return import_as_usual(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, f"pacemaker.sasl.{module}", raising=False)
    monkeypatch.delattr(f"pacemaker.sasl.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", import_without_gssapi)
    settings = Settings(auth_method=AuthMethod.KERBEROS)
    find = set_up_server if module == "gss" else set_up_client
    with pytest.raises(ConfigError, match=r"-m pip install '\.\[kerberos\]'"):
        find(settings)


def test_secrets_stay_out_of_the_factories_reprs(digest: Settings) -> None:
    """What a factory gives, and the factory itself, print without the secret."""
    server_side = set_up_server(digest)
    assert server_side.factory
    shown = f"{server_side!r} {server_side.factory()!r} {digest!r}"
    assert SECRET_HEX not in shown
    assert "DigestServer" in shown


def test_state_directory_is_systemds_or_the_users_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where systemd names folders the first is used, else one with the user's id."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/pacemaker:/var/lib/other")
    assert default_state_directory() == Path("/var/lib/pacemaker/kerberos")
    monkeypatch.delenv("STATE_DIRECTORY")
    assert default_state_directory().name.endswith(f"-{os.getuid()}")
