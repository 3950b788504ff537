"""The realms EXAMPLE.COM and OTHER.COM, with keytabs, for the tests of KERBEROS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.real.kdc import Kdc, needs_kdc, write_krb5_conf

NIMBUS = "nimbus@EXAMPLE.COM"
NIMBUS_ON_HOST = "nimbus/localhost@EXAMPLE.COM"
SUPERVISOR = "supervisor@EXAMPLE.COM"
SERVER = "pacemaker/localhost@EXAMPLE.COM"
FOREIGN_NIMBUS = "nimbus@OTHER.COM"
FOREIGN_SERVER = "pacemaker/localhost@OTHER.COM"

SECTION = """\
{name} {{
    com.sun.security.auth.module.Krb5LoginModule required
    useKeyTab=true storeKey=true useTicketCache=false doNotPrompt=true
    serviceName="pacemaker" keyTab="{keytab}" principal="{principal}";
}};
"""


class Realm(NamedTuple):
    """The realm EXAMPLE.COM, which trusts OTHER.COM.

    Attributes:
        folder: a folder for what a test writes.
        keytabs: by principal.
        krb5_conf: knows both realms.
        kdc: the one of EXAMPLE.COM.
    """

    folder: Path
    keytabs: Mapping[str, Path]
    krb5_conf: Path
    kdc: Kdc

    @property
    def java_options(self) -> str:
        """The option that shows a JVM the realms."""
        return f"-Djava.security.krb5.conf={self.krb5_conf}"

    def write_jaas(self, name: str, sections: Mapping[str, str]) -> Path:
        """Write a JAAS file with the principals of some sections."""
        file = self.folder / name
        file.write_text(
            "".join(
                SECTION.format(name=section, principal=who, keytab=self.keytabs[who])
                for section, who in sections.items()
            )
        )
        file.chmod(0o600)
        return file


@contextlib.contextmanager
def running_realm(folder: Path) -> Iterator[Realm]:
    """Start both realms, and point this process and its children to them."""
    needs_kdc()
    for name in ("example", "other"):
        (folder / name).mkdir()
    with (
        Kdc(folder / "example", "EXAMPLE.COM") as example,
        Kdc(folder / "other", "OTHER.COM") as other,
        pytest.MonkeyPatch.context() as patch,
    ):
        example.trust(other)
        keytabs = {
            f"{name}@{kdc.realm}": kdc.add(name)
            for kdc, names in (
                (example, (NIMBUS, NIMBUS_ON_HOST, SUPERVISOR, SERVER)),
                (other, (FOREIGN_NIMBUS, FOREIGN_SERVER)),
            )
            for name in (principal.partition("@")[0] for principal in names)
        }
        krb5_conf = write_krb5_conf(folder / "krb5.conf", example, other)
        patch.setenv("KRB5_CONFIG", str(krb5_conf))
        patch.setenv("STATE_DIRECTORY", str(folder))
        patch.setenv("KRB5CCNAME", str(folder / "no-cache"))
        yield Realm(folder, keytabs, krb5_conf, example)
        assert not (folder / "no-cache").exists()
