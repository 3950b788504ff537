"""How a relay authenticates, with credentials and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.config import AuthMethod, Settings
from pacemaker.errors import ConfigError, ServerFaultError
from pacemaker.relay.security import WriteOnlyMechanism, relay_sasl

DIGEST = """\
PacemakerDigest {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    username="u" password="p";
};
"""


def settings_of(method: AuthMethod, file: Path | None = None) -> Settings:
    """Return the settings of a method and a JAAS file."""
    return Settings(auth_method=method, jaas_file=file)


def test_relay_without_authentication_needs_nothing() -> None:
    """With NONE, neither direction is authenticated."""
    sasl = relay_sasl(settings_of(AuthMethod.NONE))
    assert sasl.server.factory is None
    assert sasl.client_factory is None
    assert not sasl.notes


def test_relay_with_credentials_does_what_a_pacemaker_does(tmp_path: Path) -> None:
    """With credentials, both directions are authenticated as by a Pacemaker."""
    file = tmp_path / "jaas.conf"
    file.write_text(DIGEST)
    file.chmod(0o600)
    sasl = relay_sasl(settings_of(AuthMethod.DIGEST, file))
    assert sasl.server.factory is not None
    assert sasl.server.factory().name == "DIGEST"
    assert sasl.client_factory is not None
    assert sasl.client_factory("pm1").name == "DIGEST"
    assert not sasl.notes


def test_warning_about_a_file_is_given_once(tmp_path: Path) -> None:
    """A warning is given once, although both directions read the file."""
    file = tmp_path / "jaas.conf"
    file.write_text(DIGEST)
    file.chmod(0o644)
    sasl = relay_sasl(settings_of(AuthMethod.DIGEST, file))
    assert len(sasl.notes) == 1
    assert "chmod" in sasl.notes[0]


@pytest.mark.parametrize("content", [None, "", "Other { a.B required; };"])
def test_relay_without_credentials_only_writes(
    tmp_path: Path, content: str | None
) -> None:
    """Without a file or a section, one line explains that reads are refused."""
    file = tmp_path / "jaas.conf"
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)
    sasl = relay_sasl(settings_of(AuthMethod.DIGEST, file))
    (note,) = sasl.notes
    assert "lets nobody read" in note
    assert sasl.client_factory is None
    assert sasl.server.factory is not None
    assert isinstance(sasl.server.factory(), WriteOnlyMechanism)


def test_broken_file_is_an_error(tmp_path: Path) -> None:
    """If the relay started without them, a Nimbus on this host would end itself."""
    file = tmp_path / "jaas.conf"
    file.write_text("PacemakerDigest {")
    with pytest.raises(ConfigError):
        relay_sasl(settings_of(AuthMethod.DIGEST, file))


@pytest.mark.parametrize(
    ("method", "begins"), [(AuthMethod.DIGEST, True), (AuthMethod.KERBEROS, False)]
)
def test_write_only_relay_judges_no_token(method: AuthMethod, begins: bool) -> None:
    """A token to a write-only relay is not a guess: it is not counted or delayed."""
    mechanism = WriteOnlyMechanism(method)
    assert (mechanism.name, mechanism.begins_with_request) == (method.value, begins)
    assert not mechanism.complete
    assert mechanism.user is None
    with pytest.raises(ServerFaultError, match="no credentials"):
        mechanism.step(b"token")
