"""A throw-away Kerberos realm: MIT's KDC on a free loopback port, for tests.

Everything is in one folder and one child process; the machine's own Kerberos
configuration is neither read nor written.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.real.child import Child
from tests.real.jvm import missing

SBIN = "/usr/sbin"
"""Where Debian has the KDC's programs, which is not on every user's PATH."""

ADMIN_TIMEOUT_S = 60

KDC_CONF = """\
[realms]
    {realm} = {{
        database_name = {folder}/principals
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        kdc_listen = ""
        kdc_tcp_listen = 127.0.0.1:{port}
    }}
[logging]
    kdc = STDERR
"""

KRB5_CONF = """\
[libdefaults]
    default_realm = {default_realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
{realms}
[domain_realm]
    localhost = {default_realm}
"""


class Kdc:
    """One realm; leaving the `with` block ends its KDC.

    Args:
        folder: an empty folder for all its files.
        realm: its name.

    Attributes:
        realm: its name.
        port: where its KDC listens on 127.0.0.1, by TCP.
        krb5_conf: the configuration for its clients and servers.
    """

    def __init__(self, folder: Path, realm: str = "EXAMPLE.COM") -> None:
        self.realm = realm
        self.port = _free_port()
        self._folder = folder
        self.krb5_conf = write_krb5_conf(folder / "krb5.conf", self)
        profile = folder / "kdc.conf"
        profile.write_text(KDC_CONF.format(realm=realm, folder=folder, port=self.port))
        self._environment = {
            "KRB5_CONFIG": str(self.krb5_conf),
            "KRB5_KDC_PROFILE": str(profile),
        }
        self._run("kdb5_util", "create", "-s", "-P", "only for tests", "-r", realm)
        argv = [_program("krb5kdc"), "-n", "-r", realm]
        self._child = Child(argv, env=self._environment)
        self._child.logged("commencing operation")

    def add(self, principal: str) -> Path:
        """Add a principal of this realm, and give a new keytab with its keys."""
        name = f"{principal}@{self.realm}"
        keytab = self._folder / f"{principal.replace('/', '-')}.keytab"
        self._admin(f"addprinc -randkey {name}")
        self.change_key(principal, keytab)
        return keytab

    def change_key(self, principal: str, keytab: Path) -> None:
        """Give a principal new keys, and add them to a keytab."""
        self._admin(f"ktadd -k {keytab} {principal}@{self.realm}")

    def trust(self, other: Kdc) -> None:
        """Take the other realm's word for who its principals are."""
        name = f"krbtgt/{self.realm}@{other.realm}"
        for kdc in (self, other):
            kdc._admin(f"addprinc -pw only-for-tests {name}")

    def stop(self) -> None:
        """End the KDC."""
        self._child.stop()

    def _admin(self, query: str) -> None:
        self._run("kadmin.local", "-r", self.realm, "-q", query)

    def _run(self, name: str, *args: str) -> None:
        subprocess.run(
            [_program(name), *args],
            env={**os.environ, **self._environment},
            capture_output=True,
            timeout=ADMIN_TIMEOUT_S,
            check=True,
        )

    def __enter__(self) -> Kdc:
        """Return the realm itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the KDC."""
        self.stop()


def write_krb5_conf(path: Path, *kdcs: Kdc) -> Path:
    """Write a krb5.conf that knows some realms, the first one as the default."""
    realms = (f"    {kdc.realm} = {{\n{_address(kdc)}\n    }}" for kdc in kdcs)
    path.write_text(
        KRB5_CONF.format(default_realm=kdcs[0].realm, realms="\n".join(realms))
    )
    return path


def needs_kdc() -> None:
    """Skip the test where MIT's KDC is not installed."""
    for name in ("krb5kdc", "kdb5_util", "kadmin.local"):
        _program(name)


def _address(kdc: Kdc) -> str:
    return f"        kdc = 127.0.0.1:{kdc.port}"


def _program(name: str) -> str:
    path = shutil.which(name, path=os.pathsep.join(_search_path()))
    if path is None:
        missing(f"{name} is not installed")
    return path


def _search_path() -> Sequence[str]:
    return [*os.environ.get("PATH", "").split(os.pathsep), SBIN]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
