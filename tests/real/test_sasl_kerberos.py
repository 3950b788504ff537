"""KERBEROS with MIT's library and KDC, against the JDK's SASL and crafted clients."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pacemaker.config.settings import AuthMethod, Settings
from pacemaker.errors import AuthenticationError, ConfigError, ServerFaultError
from pacemaker.sasl.kerberos import KerberosServer
from pacemaker.sasl.login import KerberosLogin
from pacemaker.sasl.mechanism import ClientMechanism
from pacemaker.sasl.replay_cache import FILE_NAME, ReplayCache, find_replay_cache
from pacemaker.sasl.setup import (
    default_state_directory,
    set_up_client,
    set_up_server,
)
from tests.real.jvm import missing
from tests.real.realm import (
    FOREIGN_NIMBUS,
    FOREIGN_SERVER,
    NIMBUS,
    NIMBUS_ON_HOST,
    SERVER,
    SUPERVISOR,
    Realm,
    running_realm,
)
from tests.real.sasl_peer import JdkMechanism, SaslProgram
from tests.sasl.exchange import run_exchange

try:
    import gssapi

    from pacemaker.sasl.gss import acceptor_factory
    from pacemaker.sasl.gss_client import client_factory
    from tests.real.gss_initiator import GssInitiator
except ImportError:
    HAS_GSSAPI = False
else:
    HAS_GSSAPI = True

pytestmark = pytest.mark.real


class Peers(NamedTuple):
    """Makes the ends of exchanges in a realm."""

    realm: Realm

    @property
    def state_directory(self) -> Path:
        """Where our servers keep their replay cache."""
        return default_state_directory()

    @property
    def cache(self) -> ReplayCache:
        """The replay cache of our servers."""
        return find_replay_cache(self.state_directory, os.environ)

    def new_server(self, user: str = "nimbus") -> KerberosServer:
        """Make our server's mechanism."""
        keytab = self.realm.keytabs[SERVER]
        new_acceptor = acceptor_factory(SERVER, keytab, self.cache)
        return KerberosServer(new_acceptor(), user)

    def new_client(self, principal: str = NIMBUS) -> ClientMechanism:
        """Make our client's mechanism."""
        keytab = self.realm.keytabs[principal]
        return client_factory(KerberosLogin(principal, keytab, "pacemaker", ()))(
            "LocalHost"
        )

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
        keytab = self.realm.keytabs[principal]
        return GssInitiator(
            *(principal, keytab, target), mutual=mutual, choice=choice, mech=mech
        )


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """Start the realms."""
    if not HAS_GSSAPI:
        missing("the extra kerberos is not installed")
    with running_realm(tmp_path_factory.mktemp("realm")) as realm:
        yield Peers(realm)


@pytest.fixture(scope="module")
def jdk(peers: Peers) -> Iterator[SaslProgram]:
    """Give a JVM that may be any of the principals."""
    sections = {
        "PacemakerServer": SERVER,
        "PacemakerClient": NIMBUS,
        "Supervisor": SUPERVISOR,
        "Foreign": FOREIGN_NIMBUS,
    }
    jaas_file = peers.realm.write_jaas("jdk.conf", sections)
    with SaslProgram(peers.realm.krb5_conf, jaas_file) as program:
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
    peers: Peers, jdk: SaslProgram, mutual: str
) -> None:
    """The JDK's client is taken, with and without mutual authentication."""
    server = peers.new_server()
    client = jdk_client(jdk, mutual=mutual)
    tokens = run_exchange(client, server)
    assert client.complete
    assert server.user == NIMBUS
    assert len(tokens) == (3 if mutual == "true" else 2)


def test_our_client_authenticates_to_the_jdk_server(
    peers: Peers, jdk: SaslProgram
) -> None:
    """Our client is taken by the JDK's server."""
    client = peers.new_client()
    server = JdkMechanism(jdk, "kerberos-server pacemaker localhost nimbus")
    run_exchange(client, server)
    assert client.complete
    assert server.user == NIMBUS


def test_our_client_and_server_authenticate_each_other(peers: Peers) -> None:
    """Both halves agree, each knows, and neither takes more tokens."""
    client = peers.new_client()
    server = peers.new_server()
    run_exchange(client, server)
    assert client.complete
    assert server.user == NIMBUS
    for mechanism in (client, server):
        with pytest.raises(AuthenticationError, match="no token is expected"):
            mechanism.step(b"")


def test_our_client_of_another_principal_is_refused_by_the_jdk(
    peers: Peers, jdk: SaslProgram
) -> None:
    """The JDK's server refuses whom ours refuses."""
    client = peers.new_client(SUPERVISOR)
    server = JdkMechanism(jdk, "kerberos-server pacemaker localhost nimbus")
    with pytest.raises(AuthenticationError, match="the JDK refuses"):
        run_exchange(client, server)


@pytest.mark.parametrize("principal", [NIMBUS, NIMBUS_ON_HOST])
@pytest.mark.parametrize("mutual", [False, True])
def test_server_takes_nimbus(peers: Peers, principal: str, mutual: bool) -> None:
    """The daemons' user is authorised, with or without a host in its name."""
    server = peers.new_server()
    run_exchange(peers.craft(principal, mutual=mutual), server)
    assert server.user == principal


def test_server_takes_the_word_of_a_trusted_realm(
    peers: Peers, jdk: SaslProgram
) -> None:
    """Under cross-realm trust the realm does not count, as in Storm."""
    server = peers.new_server()
    run_exchange(jdk_client(jdk, "Foreign"), server)
    assert server.user == FOREIGN_NIMBUS


def test_server_refuses_another_principal(peers: Peers, jdk: SaslProgram) -> None:
    """Who is not nimbus.daemon.user is refused, by name."""
    with pytest.raises(AuthenticationError, match=r"not nimbus\.daemon\.user: superv"):
        run_exchange(jdk_client(jdk, "Supervisor"), peers.new_server())


def test_server_refuses_anothers_authzid(peers: Peers, jdk: SaslProgram) -> None:
    """Who has a genuine ticket may not act as nimbus with it."""
    client = jdk_client(jdk, "Supervisor", authzid=NIMBUS)
    with pytest.raises(AuthenticationError, match="asks to act as another user"):
        run_exchange(client, peers.new_server())


@pytest.mark.parametrize("layer", [0, 2, 3, 4, 7])
def test_server_refuses_a_security_layer(peers: Peers, layer: int) -> None:
    """Authentication alone was offered, nothing else is taken."""
    client = peers.craft(choice=bytes([layer, 1, 0, 0]))
    with pytest.raises(AuthenticationError, match="protection not offered"):
        run_exchange(client, peers.new_server())


def test_server_refuses_a_realm_that_it_does_not_trust(peers: Peers) -> None:
    """A ticket of another realm, for a server of the same name there, is no ticket."""
    client = peers.craft(FOREIGN_NIMBUS, FOREIGN_SERVER)
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        run_exchange(client, peers.new_server())


def test_server_refuses_a_ticket_for_another_service(peers: Peers) -> None:
    """A ticket for another principal of the same realm is not for us."""
    client = peers.craft(target=NIMBUS_ON_HOST)
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        run_exchange(client, peers.new_server())


def test_server_refuses_a_mechanism_that_wraps_kerberos(peers: Peers) -> None:
    """SPNEGO, which may negotiate more than was meant, is not spoken."""
    client = peers.craft(mech=gssapi.OID.from_int_seq("1.3.6.1.5.5.2"))
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token"):
        run_exchange(client, peers.new_server())


def test_server_refuses_a_replayed_token(peers: Peers) -> None:
    """A token that was seen once is refused by every later context."""
    token = peers.craft().step(b"")
    peers.new_server().step(token)
    with pytest.raises(AuthenticationError, match="replay"):
        peers.new_server().step(token)


def test_server_refuses_a_choice_of_another_exchange(peers: Peers) -> None:
    """What was wrapped for one context is worth nothing in another."""
    first, second = peers.new_server(), peers.new_server()
    tokens = run_exchange(peers.craft(), first)
    second.step(peers.craft().step(b""))
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


def test_server_refuses_a_spoilt_choice(peers: Peers) -> None:
    """A wrapped choice with any bit changed, cut or lengthened is refused."""
    chance = random.Random(4752)  # noqa: S311  # repeatable, not secret
    for _ in range(200):
        client, server = peers.craft(), peers.new_server()
        choice = client.step(server.step(client.step(b"")) or b"")
        with pytest.raises(AuthenticationError):
            server.step(spoilt(chance, choice))
        assert not server.complete


def test_server_takes_nobody_for_another_by_a_spoilt_ticket(peers: Peers) -> None:
    """A changed first token is refused, or is as good as the one that it was.

    What of it is not encrypted (a realm's name, a key's version) may differ and
    yet lead to the same key and the same ticket.
    """
    chance = random.Random(4120)  # noqa: S311  # repeatable, not secret
    refused = 0
    for _ in range(200):
        client, server = peers.craft(), peers.new_server()
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


def test_server_leaves_its_tokens_as_they_are(peers: Peers) -> None:
    """The caller's bytes are not changed by a step, as MIT's library would."""
    client, server = peers.craft(), peers.new_server()
    choice = client.step(server.step(client.step(b"")) or b"")
    copy = bytes(bytearray(choice))
    server.step(choice)
    assert choice == copy


def test_server_keeps_its_replay_cache_to_itself(peers: Peers) -> None:
    """The cache is on, in a folder that nobody else can look into."""
    run_exchange(peers.craft(), peers.new_server())
    assert stat.S_IMODE(peers.state_directory.stat().st_mode) == 0o700
    assert (peers.state_directory / FILE_NAME).stat().st_size > 0


def test_mechanisms_leave_the_environment_alone(peers: Peers) -> None:
    """Keytabs, tickets and cache are this process's, and no variable names them."""
    before = dict(os.environ)
    run_exchange(peers.new_client(), peers.new_server())
    assert dict(os.environ) == before


def test_client_for_an_unknown_host_is_refused(peers: Peers) -> None:
    """A host without a principal in the realm gets no ticket; that is one refusal."""
    login = KerberosLogin(NIMBUS, peers.realm.keytabs[NIMBUS], "pacemaker", ())
    client = client_factory(login)("nobody.example.com")
    with pytest.raises(AuthenticationError, match="GSSAPI failed"):
        client.step(b"")


def test_client_refuses_spoilt_tokens(peers: Peers) -> None:
    """A server's token that was changed ends the exchange, and nothing else."""
    chance = random.Random(4121)  # noqa: S311  # repeatable, not secret
    for _ in range(100):
        client, server = peers.new_client(), peers.new_server()
        reply = server.step(client.step(b"") or b"") or b""
        if chance.random() < 0.5:
            reply = server.step(client.step(reply) or b"") or b""
        with contextlib.suppress(AuthenticationError):
            client.step(spoilt(chance, reply))
            client.step(b"")
        assert not client.complete


def test_clients_with_two_keytabs_are_two_users(peers: Peers) -> None:
    """Each client acts as its own principal, whatever another did before."""
    for principal in (NIMBUS, NIMBUS_ON_HOST, NIMBUS):
        server = peers.new_server()
        run_exchange(peers.new_client(principal), server)
        assert server.user == principal


def test_acceptor_needs_the_key_of_its_principal(peers: Peers) -> None:
    """A keytab without the principal's key ends the start with one line."""
    keytab = peers.realm.keytabs[NIMBUS]
    with pytest.raises(ConfigError, match=rf"no key of {SERVER}") as caught:
        acceptor_factory(SERVER, keytab, peers.cache)
    assert str(keytab) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_acceptor_reads_a_changed_keytab(peers: Peers) -> None:
    """New keys in the keytab are used at once, and tickets for the old ones too."""
    host, kdc = "pacemaker/rotated", peers.realm.kdc
    principal = f"{host}@EXAMPLE.COM"
    keytab = kdc.add(host)
    new_acceptor = acceptor_factory(principal, keytab, peers.cache)
    before = peers.craft(target=principal)
    token = before.step(b"")
    kdc.change_key(host, keytab)
    run_exchange(
        peers.craft(target=principal), KerberosServer(new_acceptor(), "nimbus")
    )
    old = KerberosServer(new_acceptor(), "nimbus")
    old.step(before.step(old.step(token) or b""))
    assert old.user == NIMBUS


def test_acceptor_refuses_a_cache_that_cannot_be_written(
    peers: Peers, tmp_path: Path
) -> None:
    """A place that another could have prepared, or may look into, is not used."""
    place = tmp_path / "state"
    place.mkdir(mode=0o755)
    cache = find_replay_cache(place, {})
    with pytest.raises(ConfigError, match="the replay cache needs a private folder"):
        acceptor_factory(SERVER, peers.realm.keytabs[SERVER], cache)


def test_server_makes_its_cache_again(peers: Peers, tmp_path: Path) -> None:
    """A folder that is cleaned away while the daemon runs locks nobody out."""
    cache = find_replay_cache(tmp_path / "state", {})
    new_acceptor = acceptor_factory(SERVER, peers.realm.keytabs[SERVER], cache)
    for _ in range(2):
        server = KerberosServer(new_acceptor(), "nimbus")
        run_exchange(peers.craft(), server)
        assert server.user == NIMBUS
        shutil.rmtree(tmp_path / "state")


def test_server_blames_its_cache_and_not_the_client(
    peers: Peers, tmp_path: Path
) -> None:
    """Where the cache cannot be written, the log says so, and what to do."""
    cache = find_replay_cache(tmp_path / "state", {})
    new_acceptor = acceptor_factory(SERVER, peers.realm.keytabs[SERVER], cache)
    assert cache.file is not None
    cache.file.unlink()
    cache.file.mkdir()
    with pytest.raises(ServerFaultError, match=r"cache .* cannot be written: Is a dir"):
        new_acceptor().accept(peers.craft().step(b""))
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").touch()
    with pytest.raises(ServerFaultError, match="the replay cache has no folder"):
        new_acceptor().accept(peers.craft().step(b""))


@pytest.mark.parametrize("state", ["gone", "folder", "empty"])
def test_server_blames_its_keytab_and_not_the_client(
    peers: Peers, tmp_path: Path, state: str
) -> None:
    """A keytab that is lost while the daemon runs is named in the log."""
    keytab = tmp_path / "keytab"
    shutil.copy(peers.realm.keytabs[SERVER], keytab)
    new_acceptor = acceptor_factory(SERVER, keytab, peers.cache)
    keytab.unlink()
    if state == "folder":
        keytab.mkdir()
    elif state == "empty":
        keytab.touch()
    with pytest.raises(ServerFaultError, match=f"the keytab {keytab}"):
        new_acceptor().accept(peers.craft().step(b""))


@pytest.mark.parametrize("token", [b"", b"garbage", b"\x60\x82" + bytes(100)])
def test_server_blames_the_client_for_its_token(peers: Peers, token: bytes) -> None:
    """A token that is none is the client's fault."""
    new_acceptor = acceptor_factory(SERVER, peers.realm.keytabs[SERVER], peers.cache)
    with pytest.raises(AuthenticationError, match="GSSAPI refuses the token") as caught:
        new_acceptor().accept(token)
    assert not isinstance(caught.value, ServerFaultError)


@pytest.mark.parametrize("kind", ["none", "dfl", "file2"])
def test_server_heeds_mits_variable(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """KRB5RCACHENAME says where the cache is; without one a token is taken twice."""
    place = str(tmp_path / "theirs") if kind == "file2" else ""
    monkeypatch.setenv("KRB5RCACHENAME", f"{kind}:{place}")
    monkeypatch.setenv("KRB5RCACHEDIR", str(tmp_path))
    cache = find_replay_cache(tmp_path / "ours", os.environ)
    new_acceptor = acceptor_factory(SERVER, peers.realm.keytabs[SERVER], cache)
    token = peers.craft().step(b"")
    new_acceptor().accept(token)
    if kind == "none":
        new_acceptor().accept(token)
        assert not list(tmp_path.iterdir())
        return
    with pytest.raises(AuthenticationError, match="replay"):
        new_acceptor().accept(token)
    assert cache.file is not None
    assert list(tmp_path.iterdir()) == [cache.file]


def test_settings_make_a_pair_that_agrees(peers: Peers) -> None:
    """Both ends, made from one configuration, authenticate to each other."""
    jaas_file = peers.realm.write_jaas(
        "ours.conf", {"PacemakerServer": SERVER, "PacemakerClient": NIMBUS}
    )
    settings = Settings(
        auth_method=AuthMethod.KERBEROS,
        jaas_file=jaas_file,
        nimbus_daemon_user="nimbus",
    )
    server_side = set_up_server(settings)
    client_side = set_up_client(settings)
    assert server_side.factory
    assert client_side.factory
    assert server_side.notes == client_side.notes == ()
    server = server_side.factory()
    run_exchange(client_side.factory("localhost"), server)
    assert server.user == NIMBUS


def test_settings_without_the_daemons_user_are_noted(peers: Peers) -> None:
    """Where nimbus.daemon.user is unset nobody may read, and the start says so."""
    settings = Settings(
        auth_method=AuthMethod.KERBEROS,
        jaas_file=peers.realm.write_jaas("alone.conf", {"PacemakerServer": SERVER}),
    )
    (note,) = set_up_server(settings).notes
    assert "nobody is authorised" in note
