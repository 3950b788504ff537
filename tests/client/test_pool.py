"""Tests of pacemaker.client.pool: Storm's rules, over servers that come and go."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacemaker.client import PacemakerPool, requests
from pacemaker.client import pool as pool_module
from pacemaker.client.address import ServerAddress
from pacemaker.client.connection import PacemakerConnection
from pacemaker.client.pool import server_addresses
from pacemaker.client.requests import Request
from pacemaker.config import AuthMethod, Settings
from pacemaker.errors import (
    CannotConnectError,
    ClosedError,
    ConfigError,
    DeadlineError,
    NoServerError,
    NotAuthorizedError,
)
from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import WorkerHeartbeat
from pacemaker.sasl.digest import DigestServer, digest_secret
from pacemaker.sasl.secret import Secret
from pacemaker.wire import messages
from tests.client.daemons import daemon, descriptors
from tests.client.fake_server import (
    TIMEOUT_S,
    FakeServer,
    Peer,
    Script,
    silent,
    silent_after,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

pytestmark = pytest.mark.io

LONG_S = 30.0
SHORT_S = 0.2


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread or a descriptor behind."""
    threads, before = threading.active_count(), descriptors()
    yield
    assert threading.active_count() == threads
    assert descriptors() == before


def pool_of(
    *addresses: ServerAddress, timeout_s: float = LONG_S, seed: int = 1, **options: Any
) -> PacemakerPool:
    """Make a pool over some servers, whose choices can be repeated."""
    settings = Settings(servers=tuple(map(str, addresses)))
    rng = random.Random(seed)  # noqa: S311  (no secret)
    return PacemakerPool(settings, timeout_s=timeout_s, rng=rng, **options)


@contextlib.contextmanager
def servers(*scripts: Script | None) -> Iterator[list[FakeServer]]:
    """Start servers, each with a script for its first connection."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(FakeServer(*([script] if script else [])))
            for script in scripts
        ]


def put(server: FakeServer, path: str, details: bytes) -> None:
    """Store a heartbeat at one server, behind the pool's back."""
    with PacemakerConnection(server.address, timeout_s=LONG_S) as connection:
        connection.request(requests.send_pulse(path, details))


def has(server: FakeServer, path: str) -> bool:
    """Tell whether one server has a heartbeat."""
    with PacemakerConnection(server.address, timeout_s=LONG_S) as connection:
        return connection.request(requests.exists(path))


def dead_address() -> ServerAddress:
    """Return an address where nothing listens."""
    with FakeServer() as server:
        return server.address


def beat(time_secs: int) -> bytes:
    """Return a heartbeat as a worker stores it."""
    return codec.encode(WorkerHeartbeat("t-1-1", time_secs, 1, {}))


# Writes.


def test_write_goes_to_one_server() -> None:
    """A heartbeat is stored once, and the next one at the same server."""
    with servers(None, None, None) as three:
        with pool_of(*(server.address for server in three)) as pool:
            for number in range(5):
                pool.send_pulse(f"/w/{number}", b"x")
        have = [
            [has(server, f"/w/{number}") for number in range(5)] for server in three
        ]
        assert sorted(have) == [[False] * 5, [False] * 5, [True] * 5]


def test_first_server_is_chosen_by_chance() -> None:
    """Different clients choose different servers, the same seed the same one."""
    addresses = [ServerAddress("127.0.0.1", port) for port in (1, 2, 3)]
    chosen = [pool_of(*addresses, seed=seed).writer for seed in range(50)]
    assert set(chosen) == {0, 1, 2}
    assert chosen == [pool_of(*addresses, seed=seed).writer for seed in range(50)]


@pytest.mark.parametrize("believed_dead", [(), (0,), (1,), (2,), (0, 1), (1, 2)])
def test_write_asks_servers_believed_dead_last(
    believed_dead: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others come first, each kind in order from the last writer on."""
    asked: list[int] = []

    def unanswered(
        connection: PacemakerConnection, request: Request[Any], timeout_s: float
    ) -> Any:
        asked.append(pool.connections.index(connection))
        raise DeadlineError("pm1", "no reply in time", was_sent=False)

    monkeypatch.setattr(PacemakerConnection, "request", unanswered)
    pool = pool_of(*(ServerAddress("127.0.0.1", port) for port in (1, 2, 3)))
    pool.writer = 1
    for number in believed_dead:
        pool.connections[number].standing.on_missed(0.0)
    with pytest.raises(NoServerError):
        pool.send_pulse("/w", b"x")
    order = [1, 2, 0]
    first = [number for number in order if number not in believed_dead]
    assert asked == first + [number for number in order if number in believed_dead]


@pytest.mark.parametrize("seed", range(4))
def test_write_goes_to_the_next_where_one_is_dead(seed: int) -> None:
    """One living server of three is enough, whichever was chosen."""
    with FakeServer() as server:
        dead = [dead_address(), dead_address()]
        with pool_of(dead[0], server.address, dead[1], seed=seed) as pool:
            for _ in range(3):
                pool.send_pulse("/w", b"x")
        assert has(server, "/w")


@pytest.mark.parametrize("seed", range(4))
def test_write_leaves_a_server_that_hangs_time_for_the_next(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limits of all tries of a write add up to its one deadline at most."""
    parts_s: list[float] = []
    ask = PacemakerConnection.request

    def recording(
        connection: PacemakerConnection, request: Request[Any], timeout_s: float
    ) -> Any:
        parts_s.append(timeout_s)
        return ask(connection, request, timeout_s)

    with servers(silent, None, silent) as three:
        addresses = [server.address for server in three]
        with pool_of(*addresses, seed=seed, timeout_s=3.0) as pool:
            monkeypatch.setattr(PacemakerConnection, "request", recording)
            pool.send_pulse("/w", b"x")
            monkeypatch.undo()
        assert sum(parts_s) <= 3.0
        assert has(three[1], "/w")


def test_write_stays_where_it_went() -> None:
    """After a failure writes go on at the server that took over."""
    with servers(None, None) as two:
        with pool_of(*(server.address for server in two)) as pool:
            pool.send_pulse("/first", b"x")
            first, second = sorted(two, key=lambda server: not has(server, "/first"))
            first.close()
            until(lambda: not pool.connections[two.index(first)].is_available)
            pool.send_pulse("/second", b"x")
            with FakeServer(port=first.address.port) as again:
                pool_is_whole(pool)
                pool.send_pulse("/third", b"x")
                assert not has(again, "/third")
        assert has(second, "/second")
        assert has(second, "/third")


def test_write_that_nobody_takes_names_each_server() -> None:
    """The error has one failure for each server that was asked."""
    dead = [dead_address(), dead_address()]
    with pool_of(*dead) as pool, pytest.raises(NoServerError) as caught:
        pool.send_pulse("/w", b"x")
    assert {failure.server for failure in caught.value.failures} == set(map(str, dead))
    assert all(isinstance(each, CannotConnectError) for each in caught.value.failures)
    assert str(caught.value).startswith("no server answered: 127.0.0.1:")


def test_create_path_asks_one_server() -> None:
    """It is answered and stores nothing."""
    with (
        servers(None, None) as two,
        pool_of(*(server.address for server in two)) as pool,
    ):
        pool.create_path("/w")
        assert not pool.exists("/w")
        assert pool.list_nodes("/") == []


# Reads and deletes.


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread's doing that nothing announces."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.001)


def pool_is_whole(pool: PacemakerPool) -> None:
    """Wait until every server of a pool is believed to answer."""
    until(lambda: all(each.is_available for each in pool.connections))


def test_read_takes_the_newest() -> None:
    """Of several heartbeats of a worker the one with the newest time counts."""
    with servers(None, None, None) as three:
        for server, time_secs in zip(three, (100, 300, 200), strict=True):
            put(server, "/w", beat(time_secs))
        with pool_of(*(server.address for server in three)) as pool:
            assert pool.get_pulse("/w") == beat(300)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_value_that_cannot_be_decoded_is_the_oldest(order: tuple[int, int]) -> None:
    """Any heartbeat is newer than bytes that are none, even one of before 1970."""
    with servers(None, None) as two:
        put(two[order[0]], "/w", b"\xff\xff")
        put(two[order[1]], "/w", beat(-5))
        with pool_of(*(server.address for server in two)) as pool:
            assert pool.get_pulse("/w") == beat(-5)


def test_value_that_is_alone_need_not_be_decoded() -> None:
    """Where there is nothing to choose, bytes are bytes, empty ones too."""
    with servers(None, None) as two:
        put(two[0], "/w", b"")
        with pool_of(*(server.address for server in two)) as pool:
            assert pool.get_pulse("/w") == b""
            assert pool.get_pulse("/v") is None


def test_time_may_be_read_by_another() -> None:
    """Who stores other values says how new they are."""
    with servers(None, None) as two:
        put(two[0], "/w", b"7")
        put(two[1], "/w", b"3")
        addresses = [server.address for server in two]
        with pool_of(*addresses, time_secs_of=int) as pool:
            assert pool.get_pulse("/w") == b"7"


def test_equal_values_are_not_compared() -> None:
    """What all servers have alike is not unpacked, however many they are."""
    asked: list[bytes] = []
    with servers(None, None, None) as three:
        for server in three:
            put(server, "/w", b"same")
        addresses = [server.address for server in three]
        with pool_of(*addresses, time_secs_of=asked.append) as pool:
            assert pool.get_pulse("/w") == b"same"
    assert asked == []


def test_deadline_ends_the_search_for_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Values that take their time cost the caller no more than it, once one is read."""
    now_s = [0.0]
    times = {b"odd": None, b"1": 1, b"2": 2}

    def slow(details: bytes) -> int | None:
        now_s[0] += LONG_S
        return times[details]

    monkeypatch.setattr(
        pool_module, "time", types.SimpleNamespace(monotonic=lambda: now_s[0])
    )
    with servers(None, None, None) as three:
        for server, details in zip(three, times, strict=True):
            put(server, "/w", details)
        addresses = [server.address for server in three]
        with pool_of(*addresses, time_secs_of=slow) as pool:
            assert pool.get_pulse("/w") == b"1"
    assert now_s == [2 * LONG_S]


def test_list_joins_the_answers() -> None:
    """Each name is there once, sorted."""
    with servers(None, None) as two:
        for server, names in zip(two, ("bc", "ab"), strict=True):
            for name in names:
                put(server, f"/w/{name}", b"")
        with pool_of(*(server.address for server in two)) as pool:
            assert pool.list_nodes("/w") == ["a", "b", "c"]


def test_exists_where_any_server_has_it() -> None:
    """One server is enough."""
    with servers(None, None) as two:
        put(two[1], "/w", b"")
        with pool_of(*(server.address for server in two)) as pool:
            assert pool.exists("/w")
            assert not pool.exists("/v")


def test_delete_reaches_every_server() -> None:
    """A path and what is below it are gone everywhere; a single key alone."""
    with servers(None, None) as two:
        for server in two:
            for path in ("/w", "/w/1", "/v", "/v/1"):
                put(server, path, b"")
        with pool_of(*(server.address for server in two)) as pool:
            pool.delete_path("/w")
            pool.delete_pulse("/v")
        for server in two:
            assert not has(server, "/w/1")
            assert not has(server, "/v")
            assert has(server, "/v/1")


def test_servers_are_asked_together() -> None:
    """Nobody's answer is waited for before another one is asked."""
    both = threading.Barrier(2)

    def meeting(peer: Peer) -> None:
        while (message := peer.receive()) is not None:
            if message.type == messages.GET_ALL_NODES_FOR_PATH:
                both.wait(TIMEOUT_S)
            peer.answer(message)

    with (
        servers(meeting, meeting) as two,
        pool_of(*(server.address for server in two)) as pool,
    ):
        assert pool.list_nodes("/w") == []


def test_hung_server_costs_its_deadline_once() -> None:
    """The first read waits for it, those that follow do not."""
    with servers(None, silent_after(1)) as two:
        put(two[0], "/w", b"x")
        with pool_of(*(server.address for server in two), timeout_s=1.0) as pool:
            assert pool.get_pulse("/w") == b"x"
            began_s = time.monotonic()
            for _ in range(20):
                assert pool.get_pulse("/w") == b"x"
            # Not 20 s, on a busy machine either.  (A server that was slow to reply
            # before it fell silent is given one deadline more.)
            assert time.monotonic() - began_s < 15.0


def test_server_that_comes_back_is_used_again() -> None:
    """Without a call the pool finds it, and reads what it has."""
    with FakeServer() as first:
        second = FakeServer()
        put(first, "/w/1", b"")
        with pool_of(first.address, second.address) as pool:
            second.close()
            assert pool.list_nodes("/w") == ["1"]
            with FakeServer(port=second.address.port) as again:
                put(again, "/w/2", b"")
                pool_is_whole(pool)
                assert pool.list_nodes("/w") == ["1", "2"]
                pool.close()


def test_dead_servers_are_asked_when_nobody_else_answers() -> None:
    """The last one believed in may be gone when another is just back."""
    with FakeServer() as server:
        put(server, "/w", b"x")
        dead = dead_address()
        with pool_of(server.address, dead) as pool:
            pool.connections[0].standing.on_missed(0.0)
            assert pool.get_pulse("/w") == b"x"


def test_delete_is_sent_to_a_server_in_doubt() -> None:
    """One that is only believed dead, and is not, does not keep what was deleted."""
    with servers(None, None) as two:
        put(two[1], "/w", b"x")
        with pool_of(*(server.address for server in two)) as pool:
            pool.ping()
            pool.connections[1].standing.on_missed(0.0)
            pool.delete_path("/w")
            until(lambda: not has(two[1], "/w"))


def test_read_that_nobody_answers_names_each_server() -> None:
    """A read without any answer is an error, never "nothing there"."""
    with servers(silent_after(1), silent_after(1)) as two:
        addresses = [server.address for server in two]
        with pool_of(*addresses, timeout_s=SHORT_S) as pool:
            for ask in (pool.get_pulse, pool.list_nodes, pool.exists, pool.delete_path):
                with pytest.raises(NoServerError) as caught:
                    ask("/w")
                assert len(caught.value.failures) == 2
        assert all(isinstance(each, DeadlineError) for each in caught.value.failures)


# Authentication.


def refusing(peer: Peer) -> None:
    """Refuse every read."""
    while (message := peer.receive()) is not None:
        if message.type in (messages.GET_PULSE, messages.EXISTS):
            assert message.message_id is not None
            peer.send(wire.ack(Type.NOT_AUTHORIZED, message.message_id))
        else:
            peer.answer(message)


def test_refusal_counts_where_nobody_answers() -> None:
    """A dead server beside one that refuses does not hide the refusal."""
    with (
        servers(refusing) as (server,),
        pool_of(dead_address(), server.address) as pool,
    ):
        with pytest.raises(NotAuthorizedError) as caught:
            pool.get_pulse("/w")
        assert caught.value.server == str(server.address)


def test_refusal_of_one_server_does_not_hide_the_other() -> None:
    """Whoever answers is listened to."""
    with servers(refusing, None) as two:
        put(two[1], "/w", b"x")
        with pool_of(*(server.address for server in two)) as pool:
            assert pool.get_pulse("/w") == b"x"


def test_pool_authenticates_with_the_configured_method(tmp_path: Path) -> None:
    """DIGEST takes its secret from the JAAS file, as everything else does."""
    jaas_file = tmp_path / "jaas.conf"
    jaas_file.write_text('PacemakerDigest { m.C required username="u" password="p"; };')
    jaas_file.chmod(0o600)
    secret = digest_secret("u", Secret("p"))
    with daemon(lambda: DigestServer(secret)) as address:
        settings = Settings(
            servers=(str(address),),
            auth_method=AuthMethod.DIGEST,
            jaas_file=jaas_file,
        )
        with PacemakerPool(settings, timeout_s=LONG_S) as pool:
            pool.send_pulse("/w", b"x")
            assert pool.get_pulse("/w") == b"x"


# Health, configuration, end.


def test_ping_asks_every_server() -> None:
    """The health of each server is told, with a reason where it is bad."""
    with servers(None) as (server,):
        dead = dead_address()
        with pool_of(server.address, dead) as pool:
            good, bad = pool.ping()
    assert (good.server, good.error) == (str(server.address), None)
    assert 0 < good.took_s < LONG_S
    assert str(bad.error) == f"{dead}: Connection refused"


def test_servers_have_the_port_of_the_configuration() -> None:
    """A host without a port has pacemaker.port; one that is there twice counts once."""
    settings = Settings(port=7000, servers=("a", "b:1", "a:7000", "[::1]"))
    assert server_addresses(settings) == [
        ServerAddress("a", 7000),
        ServerAddress("b", 1),
        ServerAddress("::1", 7000),
    ]


@pytest.mark.parametrize("servers", [(), ("a:b",), ("",)])
def test_servers_must_be_named(servers: tuple[str, ...]) -> None:
    """A configuration without a server, or with a wrong one, is refused by name."""
    with pytest.raises(ConfigError, match=r"pacemaker\.servers"):
        PacemakerPool(Settings(servers=servers))


def test_method_that_cannot_be_used_is_refused() -> None:
    """DIGEST without a JAAS file is found out at once, not at the first read."""
    settings = Settings(servers=("a",), auth_method=AuthMethod.DIGEST)
    with pytest.raises(ConfigError, match="JAAS"):
        PacemakerPool(settings)


def test_closed_pool_is_misuse() -> None:
    """Every call after the end says so."""
    with servers(None) as (server,):
        with pool_of(server.address) as pool:
            pool.create_path("/w")
            assert "available=True" in repr(pool)
        for ask in (pool.get_pulse, pool.create_path, pool.delete_pulse):
            with pytest.raises(ClosedError):
                ask("/w")
        with pytest.raises(ClosedError):
            pool.ping()
