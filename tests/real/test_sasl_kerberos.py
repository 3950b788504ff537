"""KERBEROS with MIT's library and KDC, against the JDK's SASL and crafted clients."""

from __future__ import annotations

import contextlib
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pacemaker.errors import AuthenticationError, ConfigError
from pacemaker.sasl.kerberos import KerberosServer
from pacemaker.sasl.login import KerberosLogin
from tests.real.jvm import missing
from tests.real.kdc import Kdc, needs_kdc, write_krb5_conf
from tests.real.sasl_peer import JdkMechanism, SaslProgram
from tests.sasl.exchange import run_exchange

try:
    import gssapi

    from pacemaker.sasl.gss import REPLAY_CACHE, acceptor_factory
    from pacemaker.sasl.gss_client import client_factory
    from tests.real.gss_initiator import GssInitiator
except ImportError:
    HAS_GSSAPI = False
else:
    HAS_GSSAPI = True

pytestmark = pytest.mark.real

NIMBUS = "nimbus@EXAMPLE.COM"
SERVER = "pacemaker/localhost@EXAMPLE.COM"
FOREIGN_NIMBUS = "nimbus@OTHER.COM"

SECTION = """\
{name} {{
    com.sun.security.auth.module.Krb5LoginModule required
    useKeyTab=true storeKey=true useTicketCache=false doNotPrompt=true
    serviceName="pacemaker" keyTab="{keytab}" principal="{principal}";
}};
"""


class Realm(NamedTuple):
    """The realms EXAMPLE.COM and OTHER.COM, the first of which trusts the second."""

    keytabs: dict[str, Path]
    """By principal."""
    krb5_conf: Path
    state_directory: Path

    def new_server(self, user: str = "nimbus") -> KerberosServer:
        """Make our server's mechanism."""
        new_acceptor = acceptor_factory(
            SERVER, self.keytabs[SERVER], self.state_directory
        )
        return KerberosServer(new_acceptor(), user)

    def login(self, principal: str) -> KerberosLogin:
        """Return what a client's JAAS section would give."""
        return KerberosLogin(principal, self.keytabs[principal], "pacemaker", ())

    def craft(
        self,
        principal: str = NIMBUS,
        target: str = SERVER,
        *,
        mutual: bool = False,
        choice: bytes = b"\x01\x00\x00\x00",
        mech: object = None,
    ) -> GssInitiator:
        """Make a client that asks for whatever a test wants."""
        mech = mech or gssapi.MechType.kerberos
        assert isinstance(mech, gssapi.OID)
        keytab = self.keytabs[principal]
        return GssInitiator(
            *(principal, keytab, target), mutual=mutual, choice=choice, mech=mech
        )


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    """Start two realms, with keytabs, for this process's GSSAPI too."""
    if not HAS_GSSAPI:
        missing("the extra kerberos is not installed")
    needs_kdc()
    folder = tmp_path_factory.mktemp("realm")
    (folder / "home").mkdir()
    (folder / "other").mkdir()
    with (
        Kdc(folder / "home", "EXAMPLE.COM") as home,
        Kdc(folder / "other", "OTHER.COM") as other,
        pytest.MonkeyPatch.context() as patch,
    ):
        home.trust(other)
        names = ("nimbus", "supervisor", "nimbus/localhost", "pacemaker/localhost")
        keytabs = {f"{name}@EXAMPLE.COM": home.add(name) for name in names}
        for name in ("nimbus", "pacemaker/localhost"):
            keytabs[f"{name}@OTHER.COM"] = other.add(name)
        krb5_conf = write_krb5_conf(folder / "krb5.conf", home, other)
        patch.setenv("KRB5_CONFIG", str(krb5_conf))
        patch.setenv("KRB5CCNAME", str(folder / "no-cache"))
        yield Realm(keytabs, krb5_conf, folder / "state")
        assert not (folder / "no-cache").exists()


@pytest.fixture(scope="module")
def jdk(
    realm: Realm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SaslProgram]:
    """Give a JVM that may be any of the principals."""
    sections = {
        "PacemakerServer": SERVER,
        "PacemakerClient": NIMBUS,
        "Supervisor": "supervisor@EXAMPLE.COM",
        "Foreign": FOREIGN_NIMBUS,
    }
    jaas_file = tmp_path_factory.mktemp("jaas") / "jaas.conf"
    jaas_file.write_text(
        "".join(
            SECTION.format(name=name, principal=who, keytab=realm.keytabs[who])
            for name, who in sections.items()
        )
    )
    with SaslProgram(realm.krb5_conf, jaas_file) as program:
        yield program


def jdk_client(
    jdk: SaslProgram,
    section: str = "PacemakerClient",
    authzid: str = "-",
    mutual: str = "false",
) -> JdkMechanism:
    """Begin an exchange with the JDK as the client."""
    command = f"kerberos-client {section} pacemaker localhost {authzid} {mutual}"
    return JdkMechanism(jdk, command)


@pytest.mark.parametrize("mutual", ["false", "true"])
def test_jdk_client_authenticates_to_our_server(
    realm: Realm, jdk: SaslProgram, mutual: str
) -> None:
    """The JDK's client is taken, with and without mutual authentication."""
    server = realm.new_server()
    client = jdk_client(jdk, mutual=mutual)
    tokens = run_exchange(client, server)
    assert client.complete
    assert server.user == NIMBUS
    assert len(tokens) == (3 if mutual == "true" else 2)


def test_our_client_authenticates_to_the_jdk_server(
    realm: Realm, jdk: SaslProgram
) -> None:
    """Our client is taken by the JDK's server."""
    client = client_factory(realm.login(NIMBUS))("LocalHost")
    server = JdkMechanism(jdk, "kerberos-server pacemaker localhost nimbus")
    run_exchange(client, server)
    assert client.complete
    assert server.user == NIMBUS


def test_our_client_and_server_authenticate_each_other(realm: Realm) -> None:
    """Both halves agree, each knows, and neither takes more tokens."""
    client = client_factory(realm.login(NIMBUS))("localhost")
    server = realm.new_server()
    run_exchange(client, server)
    assert client.complete
    assert server.user == NIMBUS
    for mechanism in (client, server):
        with pytest.raises(AuthenticationError, match="no token is due"):
            mechanism.step(b"")


def test_our_client_of_another_principal_is_refused_by_the_jdk(
    realm: Realm, jdk: SaslProgram
) -> None:
    """The JDK's server refuses whom ours refuses."""
    client = client_factory(realm.login("supervisor@EXAMPLE.COM"))("localhost")
    server = JdkMechanism(jdk, "kerberos-server pacemaker localhost nimbus")
    with pytest.raises(AuthenticationError, match="the JDK refuses"):
        run_exchange(client, server)


@pytest.mark.parametrize("principal", [NIMBUS, "nimbus/localhost@EXAMPLE.COM"])
@pytest.mark.parametrize("mutual", [False, True])
def test_server_takes_nimbus(realm: Realm, principal: str, mutual: bool) -> None:
    """The daemons' user is authorised, with or without a host in its name."""
    server = realm.new_server()
    run_exchange(realm.craft(principal, mutual=mutual), server)
    assert server.user == principal


def test_server_takes_the_word_of_a_trusted_realm(
    realm: Realm, jdk: SaslProgram
) -> None:
    """Under cross-realm trust the realm does not count, as in Storm."""
    server = realm.new_server()
    run_exchange(jdk_client(jdk, "Foreign"), server)
    assert server.user == FOREIGN_NIMBUS


def test_server_refuses_another_principal(realm: Realm, jdk: SaslProgram) -> None:
    """Who is not nimbus.daemon.user is refused, by name."""
    with pytest.raises(AuthenticationError, match=r"not nimbus\.daemon\.user: superv"):
        run_exchange(jdk_client(jdk, "Supervisor"), realm.new_server())


def test_server_refuses_anothers_authzid(realm: Realm, jdk: SaslProgram) -> None:
    """Who has a genuine ticket may not act as nimbus with it."""
    client = jdk_client(jdk, "Supervisor", authzid=NIMBUS)
    with pytest.raises(AuthenticationError, match="would act for another user"):
        run_exchange(client, realm.new_server())


@pytest.mark.parametrize("layer", [0, 2, 3, 4, 7])
def test_server_refuses_a_security_layer(realm: Realm, layer: int) -> None:
    """Authentication alone was offered, nothing else is taken."""
    client = realm.craft(choice=bytes([layer, 1, 0, 0]))
    with pytest.raises(AuthenticationError, match="protection not offered"):
        run_exchange(client, realm.new_server())


def test_server_refuses_a_realm_that_it_does_not_trust(realm: Realm) -> None:
    """A ticket of another realm, for a server of the same name there, is no ticket."""
    client = realm.craft(FOREIGN_NIMBUS, "pacemaker/localhost@OTHER.COM")
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        run_exchange(client, realm.new_server())


def test_server_refuses_a_ticket_for_another_service(realm: Realm) -> None:
    """A ticket for another principal of the same realm is not for us."""
    client = realm.craft(target="nimbus/localhost@EXAMPLE.COM")
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        run_exchange(client, realm.new_server())


def test_server_refuses_a_mechanism_that_wraps_kerberos(realm: Realm) -> None:
    """SPNEGO, which may negotiate more than was meant, is not spoken."""
    client = realm.craft(mech=gssapi.OID.from_int_seq("1.3.6.1.5.5.2"))
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        run_exchange(client, realm.new_server())


def test_server_refuses_a_replayed_token(realm: Realm) -> None:
    """A token that was seen once is refused by every later context."""
    token = realm.craft().step(b"")
    realm.new_server().step(token)
    with pytest.raises(AuthenticationError, match="replay"):
        realm.new_server().step(token)


def test_server_refuses_a_choice_of_another_exchange(realm: Realm) -> None:
    """What was wrapped for one context is worth nothing in another."""
    first, second = realm.new_server(), realm.new_server()
    tokens = run_exchange(realm.craft(), first)
    second.step(realm.craft().step(b""))
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        second.step(tokens[-1])


ROTATION = (6, 8)
"""Where a wrapped message has its rotation count, which nothing protects: another
one that comes to the same is as good (RFC 4121, 4.2.5)."""


def spoilt(chance: random.Random, token: bytes) -> bytes:
    """Flip a bit, cut, or lengthen; once in a while make it all anew."""
    where = chance.choice(
        [place for place in range(len(token)) if place not in range(*ROTATION)]
    )
    flipped = bytes([token[where] ^ 1 << chance.randrange(8)])
    return chance.choice(
        (
            token[:where] + flipped + token[where + 1 :],
            token[:where],
            token + b"\0",
            chance.randbytes(where),
        )
    )


def test_server_refuses_a_spoilt_choice(realm: Realm) -> None:
    """A wrapped choice with any bit changed, cut or lengthened is refused."""
    chance = random.Random(4752)  # noqa: S311  # repeatable, not secret
    for _ in range(200):
        client, server = realm.craft(), realm.new_server()
        choice = client.step(server.step(client.step(b"")) or b"")
        with pytest.raises(AuthenticationError):
            server.step(spoilt(chance, choice))
        assert not server.complete


def test_server_takes_nobody_for_another_by_a_spoilt_ticket(realm: Realm) -> None:
    """A changed first token is refused, or is as good as the one that it was.

    What of it is not encrypted (a realm's name, a key's version) may differ and
    yet lead to the same key and the same ticket.
    """
    chance = random.Random(4120)  # noqa: S311  # repeatable, not secret
    refused = 0
    for _ in range(200):
        client, server = realm.craft(), realm.new_server()
        token = spoilt(chance, client.step(b""))
        try:
            offer = server.step(token)
        except AuthenticationError:
            refused += 1
            continue
        with contextlib.suppress(AuthenticationError):
            server.step(client.step(offer or b""))
        assert server.user in (None, NIMBUS)
    assert refused > 150


def test_server_leaves_its_tokens_as_they_are(realm: Realm) -> None:
    """The caller's bytes are not changed by a step, as MIT's library would."""
    client, server = realm.craft(), realm.new_server()
    choice = client.step(server.step(client.step(b"")) or b"")
    copy = bytes(bytearray(choice))
    server.step(choice)
    assert choice == copy


def test_server_keeps_its_replay_cache_to_itself(realm: Realm) -> None:
    """The cache is on, in a folder that nobody else can look into."""
    run_exchange(realm.craft(), realm.new_server())
    assert stat.S_IMODE(realm.state_directory.stat().st_mode) == 0o700
    assert (realm.state_directory / REPLAY_CACHE).stat().st_size > 0


def test_mechanisms_leave_the_environment_alone(realm: Realm) -> None:
    """Keytabs, tickets and cache are this process's, and no variable names them."""
    before = dict(os.environ)
    run_exchange(client_factory(realm.login(NIMBUS))("localhost"), realm.new_server())
    assert dict(os.environ) == before


def test_client_for_an_unknown_host_is_refused(realm: Realm) -> None:
    """A host without a principal in the realm gets no ticket; that is one refusal."""
    client = client_factory(realm.login(NIMBUS))("nobody.example.com")
    with pytest.raises(AuthenticationError, match="GSSAPI cannot go on"):
        client.step(b"")


def test_client_refuses_spoilt_tokens(realm: Realm) -> None:
    """A server's token that was changed ends the exchange, and nothing else."""
    chance = random.Random(4121)  # noqa: S311  # repeatable, not secret
    new_client = client_factory(realm.login(NIMBUS))
    for _ in range(100):
        client, server = new_client("localhost"), realm.new_server()
        reply = server.step(client.step(b"") or b"") or b""
        if chance.random() < 0.5:
            reply = server.step(client.step(reply) or b"") or b""
        with contextlib.suppress(AuthenticationError):
            client.step(spoilt(chance, reply))
            client.step(b"")
        assert not client.complete


def test_clients_with_two_keytabs_are_two_users(realm: Realm) -> None:
    """Each client acts as its own principal, whatever another did before."""
    for principal in (NIMBUS, "nimbus/localhost@EXAMPLE.COM", NIMBUS):
        server = realm.new_server()
        run_exchange(client_factory(realm.login(principal))("localhost"), server)
        assert server.user == principal


def test_acceptor_needs_the_key_of_its_principal(realm: Realm) -> None:
    """A keytab without the principal's key ends the start with one line."""
    keytab = realm.keytabs[NIMBUS]
    with pytest.raises(ConfigError, match=rf"no key of {SERVER}") as caught:
        acceptor_factory(SERVER, keytab, realm.state_directory)
    assert str(keytab) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["open", "link", "file", "missing"])
def test_acceptor_refuses_a_folder_that_is_not_its_own(
    realm: Realm, tmp_path: Path, kind: str
) -> None:
    """A place that another could have prepared, or may look into, is not used."""
    place = tmp_path / "state"
    if kind == "open":
        place.mkdir(mode=0o755)
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        place.touch(mode=0o600)
    else:
        place = tmp_path / "no" / "state"
    with pytest.raises(ConfigError, match="the replay cache"):
        acceptor_factory(SERVER, realm.keytabs[SERVER], place)
