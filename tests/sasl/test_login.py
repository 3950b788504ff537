"""Tests of pacemaker.sasl.login."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from pacemaker.errors import ConfigError
from pacemaker.sasl.login import (
    java_properties,
    read_digest_login,
    read_kerberos_client_login,
    read_kerberos_server_login,
)
from pacemaker.sasl.secret import Secret
from tests.sasl.responses import SECRET_HEX

PASSWORD = "hunter2"
WriteJaas = Callable[..., Path]


@pytest.fixture
def write_jaas(tmp_path: Path) -> WriteJaas:
    """Give what writes a JAAS file, readable by its owner alone."""

    def write(text: str, mode: int = 0o600) -> Path:
        file = tmp_path / "jaas.conf"
        file.write_text(text)
        file.chmod(mode)
        return file

    return write


@pytest.fixture
def keytab(tmp_path: Path) -> Path:
    """Give a file that stands for a keytab; nobody looks into it here."""
    file = tmp_path / "pacemaker.keytab"
    file.touch(0o600)
    return file


def server_section(keytab: Path | str, principal: str) -> str:
    """Write a section PacemakerServer."""
    return (
        "PacemakerServer { com.sun.security.auth.module.Krb5LoginModule required"
        f' keyTab="{keytab}" principal="{principal}"; }};'
    )


def test_digest_login_reads_user_name_and_password(write_jaas: WriteJaas) -> None:
    """A section that a JVM takes gives Storm's secret, and nothing to note."""
    file = write_jaas("PacemakerDigest { m.C required username=u password=p; };")
    secret, notes = read_digest_login(file, {})
    assert secret.reveal() == SECRET_HEX
    assert notes == ()


def test_digest_login_takes_the_later_module(write_jaas: WriteJaas) -> None:
    """Over several modules the later value wins, as in ClientAuthUtils.pullConfig."""
    file = write_jaas(
        "PacemakerDigest { m.C required username=x password=x;"
        " m.D optional password=p; m.E optional username=u; };"
    )
    assert read_digest_login(file, {}).secret.reveal() == SECRET_HEX


def test_digest_login_takes_storms_sample_with_a_note(write_jaas: WriteJaas) -> None:
    """The section of Storm's documentation is read, and said to be no JVM's."""
    file = write_jaas('PacemakerDigest {\n username="u"\n password="p";\n};')
    secret, notes = read_digest_login(file, {})
    assert secret.reveal() == SECRET_HEX
    assert len(notes) == 1
    assert "PacemakerDigest" in notes[0]
    assert "a JVM refuses the whole file" in notes[0]


def test_digest_login_notes_who_may_read_the_password(write_jaas: WriteJaas) -> None:
    """A file of passwords that every user may read is noted, a group's is not."""
    text = "PacemakerDigest { m.C required username=u password=p; };"
    assert read_digest_login(write_jaas(text, 0o640), {}).notes == ()
    (note,) = read_digest_login(write_jaas(text, 0o644), {}).notes
    assert "every user of this machine may read it" in note


def test_digest_login_notes_a_password_that_is_not_ascii(write_jaas: WriteJaas) -> None:
    """A password that old JVMs may hash otherwise is noted, and not shown."""
    file = write_jaas("PacemakerDigest { m.C required username=u password=hünter; };")
    (note,) = read_digest_login(file, {}).notes
    assert "not ASCII" in note
    assert "hünter" not in note


def test_digest_login_puts_properties_in(write_jaas: WriteJaas) -> None:
    """A value may name a system property."""
    file = write_jaas(
        'PacemakerDigest { m.C required username="${who}" password="p"; };'
    )
    login = read_digest_login(file, {"who": Secret("u")})
    assert login.secret.reveal() == SECRET_HEX


def test_digest_login_needs_no_property_of_others(write_jaas: WriteJaas) -> None:
    """A property that is known to another JVM alone stops nobody who needs it not."""
    file = write_jaas(
        'Client { m.C required password="${zk.secret}"; };\n'
        'PacemakerDigest { m.C required username=u password=p other="${x}"; };'
    )
    secret, notes = read_digest_login(file, {})
    assert secret.reveal() == SECRET_HEX
    assert notes == ()


def test_login_warns_of_any_section_that_a_jvm_refuses(write_jaas: WriteJaas) -> None:
    """A ';' too many, or no class, in a section of somebody else's is said, too."""
    file = write_jaas(
        'StormServer {\n m.C required\n user_a="1"\n user_b="2";\n user_c="3";\n};\n'
        "Client {\n username=x;\n};\n"
        "PacemakerDigest { m.C required username=u password=p; };"
    )
    server, client = read_digest_login(file, {}).notes
    assert server.startswith(f"{file}: line 5: section StormServer: options")
    assert client.startswith(f"{file}: line 8: section Client: options")
    assert all("a JVM refuses the whole file" in note for note in (server, client))


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("", "jaas.conf: there is no section PacemakerDigest"),
        ("Other { m.C required; };", "there is no section PacemakerDigest"),
        ("PacemakerDigest { };", "section PacemakerDigest has no username"),
        (
            "PacemakerDigest { m.C required username=u; };",
            "section PacemakerDigest has no password",
        ),
        (
            f"PacemakerDigest {{ m.C required password={PASSWORD}; }};",
            "section PacemakerDigest has no username",
        ),
        (
            f"PacemakerDigest {{\n username=u password={PASSWORD} }};",
            "line 2: expected the name of an option, or ';', found '}'",
        ),
        (
            "PacemakerDigest { m.C required username=u"
            f' password="{PASSWORD}${{x}}"; }};',
            "unknown property 'x'",
        ),
    ],
)
def test_digest_login_refuses_with_one_line_and_no_password(
    write_jaas: WriteJaas, text: str, report: str
) -> None:
    """An error names the file and what is missing; a password shows nowhere."""
    file = write_jaas(text)
    with pytest.raises(ConfigError) as caught:
        read_digest_login(file, {})
    message = str(caught.value)
    assert report in message
    assert str(file) in message
    assert "\n" not in message
    shown = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    # pytest's own frame has the test's text among its locals: not looked at.
    shown.stack[:] = [frame for frame in shown.stack if frame.filename != __file__]
    assert PASSWORD not in "".join(shown.format())


def test_login_refuses_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, or no file, ends the start with the reason."""
    for place, why in ((tmp_path / "no", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=f"cannot be read: .*{why}") as caught:
            read_digest_login(place, {})
        assert caught.value.key == "java.security.auth.login.config"


def test_login_needs_a_file() -> None:
    """Where no file is named, the error says which key must name one."""
    with pytest.raises(ConfigError, match=r"login\.config: None: must name a JAAS"):
        read_digest_login(None, {})


def test_kerberos_server_login_reads_principal_and_keytab(
    write_jaas: WriteJaas, keytab: Path
) -> None:
    """A principal with a host, and a keytab, are all that is needed."""
    file = write_jaas(server_section(keytab, "pacemaker/host.example.com@EXAMPLE.COM"))
    login = read_kerberos_server_login(file, {})
    assert login.principal == "pacemaker/host.example.com@EXAMPLE.COM"
    assert login.keytab == keytab
    assert login.notes == ()


def test_kerberos_server_login_takes_a_keytab_with_its_type(
    write_jaas: WriteJaas, keytab: Path
) -> None:
    """A keytab may be written as FILE:PATH in any case, as in Java."""
    for prefix in ("FILE:", "file:", "File:", "srvtab:"):
        file = write_jaas(server_section(f"{prefix}{keytab}", "pacemaker/h@R"))
        assert read_kerberos_server_login(file, {}).keytab == keytab


@pytest.mark.parametrize("principal", ["pacemaker@EXAMPLE.COM", "pacemaker"])
def test_kerberos_server_login_notes_a_principal_without_host(
    write_jaas: WriteJaas, keytab: Path, principal: str
) -> None:
    """The principal of Storm's documentation is noted: no client asks for it."""
    login = read_kerberos_server_login(
        write_jaas(server_section(keytab, principal)), {}
    )
    (note,) = login.notes
    assert "has no host: clients ask for pacemaker/HOST@" in note


def test_kerberos_login_notes_who_may_read_the_keytab(
    write_jaas: WriteJaas, keytab: Path
) -> None:
    """A keytab that every user may read is noted."""
    keytab.chmod(0o644)
    file = write_jaas(server_section(keytab, "pacemaker/h@R"))
    (note,) = read_kerberos_server_login(file, {}).notes
    assert note.startswith(f"{keytab}: every user of this machine may read it")


@pytest.mark.parametrize(
    ("options", "report"),
    [
        ("", "has no principal"),
        ('principal="pacemaker/h@R"', "section PacemakerServer has no keyTab"),
        ('principal="" keyTab="{keytab}"', "the principal is empty"),
        ('principal="p/h@R" keyTab="/no/such"', "keytab /no/such cannot be read: No"),
    ],
)
def test_kerberos_server_login_refuses_with_one_line(
    write_jaas: WriteJaas, keytab: Path, options: str, report: str
) -> None:
    """An error names the section and what is missing in it."""
    options = options.format(keytab=keytab)
    file = write_jaas(f"PacemakerServer {{ m.C required {options}; }};")
    with pytest.raises(ConfigError, match=report) as caught:
        read_kerberos_server_login(file, {})
    assert str(file) in str(caught.value)


def test_kerberos_client_login_needs_a_service_name(
    write_jaas: WriteJaas, keytab: Path
) -> None:
    """A client has to know the first part of the server's principal."""
    section = 'PacemakerClient {{ m.C required principal="nimbus@R" keyTab="{}" {}; }};'
    with pytest.raises(ConfigError, match="PacemakerClient has no serviceName"):
        read_kerberos_client_login(write_jaas(section.format(keytab, "")), {})
    file = write_jaas(section.format(keytab, "serviceName=pacemaker"))
    login = read_kerberos_client_login(file, {})
    assert (login.service, login.principal) == ("pacemaker", "nimbus@R")
    assert login.notes == ()


def test_java_properties_are_those_of_this_user() -> None:
    """What any JVM would know of its user and machine may be put in."""
    properties = java_properties()
    assert properties["user.dir"].reveal() == str(Path.cwd())
    assert properties["file.separator"].reveal() == os.sep
    assert properties["user.home"].reveal().startswith("/")
    assert properties["os.name"].reveal() == "Linux"


def test_java_properties_of_options_win() -> None:
    """What pacemaker.childopts sets is known, the last of equal names, and hidden."""
    properties = java_properties(
        (("pm.secret", "old"), ("pm.secret", PASSWORD), ("user.name", "x"))
    )
    assert properties["pm.secret"].reveal() == PASSWORD
    assert properties["user.name"].reveal() == "x"
    assert PASSWORD not in repr(properties)


@pytest.mark.parametrize(("home", "known"), [("/srv/pm", "/srv/pm"), (None, "?")])
def test_java_properties_of_a_user_without_entry(
    monkeypatch: pytest.MonkeyPatch, home: str | None, known: str
) -> None:
    """An unknown uid has a home all the same: HOME, or the JVM's question mark."""

    def getpwuid(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", getpwuid)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    properties = java_properties()
    assert properties["user.home"].reveal() == known
    assert properties["user.name"].reveal() == "?"


def test_java_properties_of_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A working directory that was deleted is not known, and stops nobody."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert "user.dir" not in java_properties()


@pytest.mark.parametrize("java_8", [False, True])
def test_java_properties_have_the_home_of_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java_8: bool
) -> None:
    """JAVA_HOME, or else the java on the PATH, is followed to where it really is."""
    home = tmp_path / "jdk"
    for folder in (home, home / "jre") if java_8 else (home,):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "java").touch(0o755)
    (tmp_path / "default").symlink_to(home)
    monkeypatch.setenv("PATH", str(home / "bin"))
    expected = str(home / "jre" if java_8 else home)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert java_properties()["java.home"].reveal() == expected
    monkeypatch.setenv("PATH", "/no/such")
    assert "java.home" not in java_properties()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "default"))
    assert java_properties()["java.home"].reveal() == expected
