"""What a JAAS section gives a mechanism, checked as a whole at the start."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pacemaker.errors import ConfigError
from pacemaker.sasl.digest import digest_secret
from pacemaker.sasl.jaas import JaasError, Module, Sections, parse_jaas
from pacemaker.sasl.secret import Secret

JAAS_KEY = "java.security.auth.login.config"


class DigestLogin(NamedTuple):
    """What DIGEST needs, at either end (section `PacemakerDigest`)."""

    secret: Secret
    notes: tuple[str, ...]


class KerberosLogin(NamedTuple):
    """What KERBEROS needs (`PacemakerServer`, `PacemakerClient`).

    Attributes:
        principal: who to be, such as `pacemaker/host.example.com@EXAMPLE.COM`.
        keytab: the file with its keys.
        service: the first part of the server's principal, for clients alone.
    """

    principal: str
    keytab: Path
    service: str
    notes: tuple[str, ...]


def read_digest_login(
    jaas_file: Path | None, properties: Mapping[str, str]
) -> DigestLogin:
    """Read user name and password from the section `PacemakerDigest`.

    Raises:
        ConfigError: the file or the section does not give both.
    """
    section = _read_section(jaas_file, "PacemakerDigest", properties)
    user_name, password = section.last("username"), section.last("password")
    notes = section.notes
    if not password.reveal().isascii() or not user_name.reveal().isascii():
        notes += (
            f"{section}: user name or password is not ASCII: it is hashed as UTF-8,"
            " where a JVM before Java 18 takes the charset of its locale",
        )
    return DigestLogin(digest_secret(user_name.reveal(), password), notes)


def read_kerberos_server_login(
    jaas_file: Path | None, properties: Mapping[str, str]
) -> KerberosLogin:
    """Read principal and keytab from the section `PacemakerServer`.

    Raises:
        ConfigError: the file or the section does not give both, or the keytab
            cannot be read.
    """
    section = _read_section(jaas_file, "PacemakerServer", properties)
    login = _kerberos_login(section, service="")
    if "/" in login.principal.partition("@")[0]:
        return login
    name, _, realm = login.principal.partition("@")
    missing_host = (
        f"{section}: the principal {login.principal} has no host: clients ask for"
        f" {name}/HOST@{realm or 'REALM'}, HOST as pacemaker.servers has it"
    )
    return login._replace(notes=(*login.notes, missing_host))


def read_kerberos_client_login(
    jaas_file: Path | None, properties: Mapping[str, str]
) -> KerberosLogin:
    """Read principal, keytab and service name from the section `PacemakerClient`.

    Raises:
        ConfigError: the file or the section does not give them, or the keytab
            cannot be read.
    """
    section = _read_section(jaas_file, "PacemakerClient", properties)
    return _kerberos_login(section, section.first("serviceName").reveal())


def java_properties() -> dict[str, str]:
    """Return the system properties that any JVM of this process's user would have."""
    properties = {
        "file.separator": os.sep,
        "path.separator": os.pathsep,
        "java.io.tmpdir": "/tmp",  # noqa: S108  # the JVM's constant
    }
    with suppress(OSError):  # the working directory was deleted
        properties["user.dir"] = str(Path.cwd())
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:  # a container's user without an entry
        return properties
    return properties | {"user.name": account.pw_name, "user.home": account.pw_dir}


class _Section(NamedTuple):
    file: Path
    name: str
    modules: list[Module]

    def __str__(self) -> str:
        return f"{self.file}: section {self.name}"

    def first(self, key: str) -> Secret:
        """Return the value of the first module that has it (ClientAuthUtils.get)."""
        for module in self.modules:
            if key in module.options:
                return module.options[key]
        raise ConfigError(f"section {self.name} has no {key}", source=str(self.file))

    def last(self, key: str) -> Secret:
        """Return the value of the last module that has it (pullConfig)."""
        return self._replace(modules=self.modules[::-1]).first(key)

    @property
    def notes(self) -> tuple[str, ...]:
        notes = _notes_on_readers(self.file)
        if any(module.login_class is None for module in self.modules):
            notes += (
                f"{self}: it has no login module and flag: read all the same, but"
                " a JVM refuses the whole file (begin it with a class and"
                " 'required', as the documentation of storm-pacemaker-py shows)",
            )
        return notes


def _read_section(
    jaas_file: Path | None, name: str, properties: Mapping[str, str]
) -> _Section:
    if jaas_file is None:
        problem = f"it must name a JAAS file with the section {name}"
        raise ConfigError(problem, key=JAAS_KEY)
    sections = _read_sections(jaas_file, properties)
    if isinstance(sections, JaasError):
        # Not raised where it was caught: what leads here holds the passwords.
        raise ConfigError(str(sections), key=JAAS_KEY, value=str(jaas_file))
    if name not in sections:
        raise ConfigError(f"there is no section {name}", source=str(jaas_file))
    return _Section(jaas_file, name, sections[name])


def _read_sections(
    jaas_file: Path, properties: Mapping[str, str]
) -> Sections | JaasError:
    try:
        # As the JDK decodes it: what is not UTF-8 spoils its place alone.
        text = Secret(jaas_file.read_text(encoding="utf-8", errors="replace"))
    except OSError as exc:
        problem = f"the file cannot be read: {exc.strerror}"
        raise ConfigError(problem, key=JAAS_KEY, value=str(jaas_file)) from exc
    try:
        return parse_jaas(text, properties)
    except JaasError as exc:
        return exc.with_traceback(None)


def _kerberos_login(section: _Section, service: str) -> KerberosLogin:
    principal = section.first("principal").reveal()
    keytab = Path(section.first("keyTab").reveal().removeprefix("FILE:"))
    source = str(section)
    if not principal:
        raise ConfigError("the principal is empty", source=source)
    try:
        with keytab.open("rb"):
            pass
    except OSError as exc:
        problem = f"the keytab {keytab} cannot be read: {exc.strerror}"
        raise ConfigError(problem, source=source) from exc
    notes = section.notes + _notes_on_readers(keytab)
    return KerberosLogin(principal, keytab, service, notes)


def _notes_on_readers(file: Path) -> tuple[str, ...]:
    if file.stat().st_mode & stat.S_IROTH:
        return (f"{file}: every user of this machine may read it (chmod o-r)",)
    return ()
