"""Read a mechanism's credentials from its JAAS section, and check them at the start."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pacemaker.errors import ConfigError, NoCredentialsError
from pacemaker.sasl.digest import digest_secret
from pacemaker.sasl.jaas import JaasError, JaasValue, LoginModule, Sections, parse_jaas
from pacemaker.sasl.secret import Secret

JAAS_KEY: Final = "java.security.auth.login.config"

# Java's system properties.  Those set by JVM options may be passwords.
Properties = Mapping[str, Secret]

# The JDK strips these from a keytab's name, in any case (KeyTab.normalize).
KEYTAB_TYPES: Final = ("file:", "srvtab:")

# Machine names that Java replaces with its own.
_JAVA_ARCH: Final = {"x86_64": "amd64", "i686": "i386"}


class DigestLogin(NamedTuple):
    """The credentials for DIGEST at either end (section `PacemakerDigest`)."""

    secret: Secret
    notes: tuple[str, ...]


class KerberosLogin(NamedTuple):
    """The credentials for KERBEROS (`PacemakerServer`, `PacemakerClient`).

    Attributes:
        principal: this side's principal, such as
            `pacemaker/host.example.com@EXAMPLE.COM`.
        keytab: the file with its keys.
        service: the first part of the server's principal; only for clients.
    """

    principal: str
    keytab: Path
    service: str
    notes: tuple[str, ...]


def read_digest_login(jaas_file: Path | None, properties: Properties) -> DigestLogin:
    """Read user name and password from the section `PacemakerDigest`.

    Raises:
        ConfigError: the file or the section is missing or incomplete.
    """
    section = _read_section(jaas_file, "PacemakerDigest", properties)
    user_name, password = section.last("username"), section.last("password")
    notes = section.notes
    if not password.reveal().isascii() or not user_name.reveal().isascii():
        notes += (
            f"{section}: the user name or password is not ASCII: it is hashed as"
            " UTF-8, but a JVM before Java 18 uses the charset of its locale",
        )
    return DigestLogin(digest_secret(user_name.reveal(), password), notes)


def read_kerberos_server_login(
    jaas_file: Path | None, properties: Properties, name: str = "PacemakerServer"
) -> KerberosLogin:
    """Read principal and keytab from a section of the JAAS file.

    Args:
        name: the section.

    Raises:
        ConfigError: the file or the section is missing or incomplete, or the keytab
            cannot be read.
    """
    section = _read_section(jaas_file, name, properties)
    login = _kerberos_login(section, service="")
    if "/" in login.principal.partition("@")[0]:
        return login
    name, _, realm = login.principal.partition("@")
    missing_host = (
        f"{section}: the principal {login.principal} has no host: clients ask for"
        f" {name}/HOST@{realm or 'REALM'}, with HOST as in pacemaker.servers"
    )
    return login._replace(notes=(*login.notes, missing_host))


def read_kerberos_client_login(
    jaas_file: Path | None, properties: Properties
) -> KerberosLogin:
    """Read principal, keytab and service name from the section `PacemakerClient`.

    Raises:
        ConfigError: the file or the section is missing or incomplete, or the keytab
            cannot be read.
    """
    section = _read_section(jaas_file, "PacemakerClient", properties)
    return _kerberos_login(section, section.first("serviceName").reveal())


def java_properties(options: Iterable[tuple[str, str]] = ()) -> Properties:
    """Return the system properties that any JVM run by this user would have.

    Args:
        options: names and values from the JVM's options, which win.
    """
    system = os.uname()
    properties = {
        "file.separator": os.sep,
        "path.separator": os.pathsep,
        "line.separator": os.linesep,
        "java.io.tmpdir": "/tmp",  # noqa: S108  # the JVM's constant
        "os.name": system.sysname,
        "os.version": system.release,
        "os.arch": _JAVA_ARCH.get(system.machine, system.machine),
        **dict(_user_and_java_properties()),
        **dict(options),
    }
    return {name: Secret(value) for name, value in properties.items()}


def _user_and_java_properties() -> Iterable[tuple[str, str]]:
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:
        # A container's user without an entry: HOME since Java 19, "?" before it.
        yield from (("user.name", "?"), ("user.home", os.environ.get("HOME") or "?"))
    else:
        yield from (("user.name", account.pw_name), ("user.home", account.pw_dir))
    # The working directory may have been deleted since the process started.
    with contextlib.suppress(OSError):
        yield "user.dir", str(Path.cwd())
    java = shutil.which("java", path=_java_path())
    if java is not None:
        home = Path(java).resolve().parent.parent
        # Java 8 has its runtime in a subfolder of the JDK.
        jre = home / "jre"
        yield "java.home", str(jre if (jre / "bin" / "java").exists() else home)


def _java_path() -> str | None:
    """Return where Storm's launcher looks for Java."""
    java_home = os.environ.get("JAVA_HOME")
    return str(Path(java_home) / "bin") if java_home else None


class _Section(NamedTuple):
    file: Path
    name: str
    modules: list[LoginModule]
    properties: Properties
    all_sections: Sections

    def __str__(self) -> str:
        return f"{self.file}: section {self.name}"

    def first(self, key: str) -> Secret:
        """Return the value of the first module that has it (ClientAuthUtils.get)."""
        for module in self.modules:
            if key in module.options:
                return self._expanded(module.options[key])
        raise ConfigError(f"section {self.name} has no {key}", source=str(self.file))

    def last(self, key: str) -> Secret:
        """Return the value of the last module that has it (pullConfig)."""
        return self._replace(modules=self.modules[::-1]).first(key)

    def _expanded(self, value: JaasValue) -> Secret:
        expanded = _expand(value, self.properties)
        if isinstance(expanded, JaasError):
            # Raised here, not where it was caught: those frames hold the value.
            raise ConfigError(str(expanded), key=JAAS_KEY, value=str(self.file))
        return expanded

    @property
    def notes(self) -> tuple[str, ...]:
        return (
            *_notes_on_readers(self.file),
            # In all sections, because the JVMs read the whole file.
            *(
                f"{self.file}: line {module.line}: section {name}: options without a"
                " login module's class and flag: accepted here, but a JVM refuses the"
                " whole file.  Write a class and 'required' before them, as the"
                " documentation of storm-pacemaker-py shows, and a ';' only after the"
                " last option of a module"
                for name, modules in self.all_sections.items()
                for module in modules
                if module.login_class is None
            ),
        )


def _read_section(
    jaas_file: Path | None, name: str, properties: Properties
) -> _Section:
    if jaas_file is None:
        problem = f"must name a JAAS file with the section {name}"
        raise NoCredentialsError(problem, key=JAAS_KEY)
    sections = _read_sections(jaas_file)
    if isinstance(sections, JaasError):
        # Raised here, not where it was caught: those frames hold the passwords.
        raise ConfigError(str(sections), key=JAAS_KEY, value=str(jaas_file))
    if name not in sections:
        problem = f"there is no section {name}"
        raise NoCredentialsError(problem, source=str(jaas_file))
    return _Section(jaas_file, name, sections[name], properties, sections)


def _read_sections(jaas_file: Path) -> Sections | JaasError:
    try:
        # As in the JDK, bytes that are not UTF-8 are replaced one by one.
        text = Secret(jaas_file.read_text(encoding="utf-8", errors="replace"))
    except OSError as exc:
        problem = f"the file cannot be read: {exc.strerror}"
        is_missing = isinstance(exc, FileNotFoundError)
        error = NoCredentialsError if is_missing else ConfigError
        raise error(problem, key=JAAS_KEY, value=str(jaas_file)) from exc
    try:
        return parse_jaas(text)
    except JaasError as exc:
        return exc.with_traceback(None)


def _expand(value: JaasValue, properties: Properties) -> Secret | JaasError:
    try:
        return value.expand(properties)
    except JaasError as exc:
        return exc.with_traceback(None)


def _kerberos_login(section: _Section, service: str) -> KerberosLogin:
    principal = section.first("principal").reveal()
    keytab = keytab_path(section.first("keyTab").reveal())
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


def keytab_path(name: str) -> Path:
    """Return the path of a keytab from its name in a JAAS file."""
    for prefix in KEYTAB_TYPES:
        if name.lower().startswith(prefix):
            return Path(name[len(prefix) :])
    return Path(name)


def _notes_on_readers(file: Path) -> tuple[str, ...]:
    if file.stat().st_mode & stat.S_IROTH:
        return (f"{file}: every user of this machine may read it (chmod o-r)",)
    return ()
