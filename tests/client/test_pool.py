"""Tests of pacemaker.client.pool: Storm's rules, with servers that fail and return."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacemaker.client import PacemakerPool
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
from pacemaker.testing import MemoryNetwork, MemoryPeer, MemoryServer, silent_after
from pacemaker.wire import messages
from pacemaker.wire.messages import Message
from tests.client.daemons import daemon
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

LONG_S = 30.0
A_MINUTE_S = 60.0
"""Longer than a connection takes to try again."""


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind."""
    threads = threading.active_count()
    yield
    assert threading.active_count() == threads


@pytest.fixture
def network() -> Iterator[MemoryNetwork]:
    """Give a network without servers."""
    with MemoryNetwork() as network:
        yield network


def servers(network: MemoryNetwork, count: int) -> list[MemoryServer]:
    """Add some servers to a network."""
    return [network.server(f"pm{number}") for number in range(count)]


def pool_over(
    network: MemoryNetwork, *, timeout_s: float = LONG_S, seed: int = 1, **options: Any
) -> PacemakerPool:
    """Make a pool over all servers of a network, whose choices can be repeated."""
    addresses = list(network.servers)
    return pool_of(
        *addresses, network=network, timeout_s=timeout_s, seed=seed, **options
    )


def pool_of(
    *addresses: ServerAddress, timeout_s: float = LONG_S, seed: int = 1, **options: Any
) -> PacemakerPool:
    """Make a pool over some servers, whose choices can be repeated."""
    settings = Settings(servers=tuple(map(str, addresses)))
    rng = random.Random(seed)  # noqa: S311  (no secret)
    return PacemakerPool(settings, timeout_s=timeout_s, rng=rng, **options)


def has(server: MemoryServer, path: str) -> bool:
    """Tell whether one server has a heartbeat."""
    return server.get(path) is not None


def beat(time_secs: int) -> bytes:
    """Return a heartbeat as a worker stores it."""
    return codec.encode(WorkerHeartbeat("t-1-1", time_secs, 1, {}))


# Writes.


def test_write_goes_to_one_server(network: MemoryNetwork) -> None:
    """A heartbeat is stored once, and the next one at the same server."""
    three = servers(network, 3)
    with pool_over(network) as pool:
        for number in range(5):
            pool.send_pulse(f"/w/{number}", b"x")
    have = [[has(server, f"/w/{number}") for number in range(5)] for server in three]
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
        pool.connections[number].liveness.on_missed(0.0)
    with pytest.raises(NoServerError):
        pool.send_pulse("/w", b"x")
    order = [1, 2, 0]
    first = [number for number in order if number not in believed_dead]
    assert asked == first + [number for number in order if number in believed_dead]


@pytest.mark.parametrize("seed", range(4))
def test_write_goes_to_the_next_where_one_is_dead(
    network: MemoryNetwork, seed: int
) -> None:
    """One living server of three is enough, whichever was chosen."""
    dead, server, other = servers(network, 3)
    dead.die()
    other.die()
    with pool_over(network, seed=seed) as pool:
        for _ in range(3):
            pool.send_pulse("/w", b"x")
    assert has(server, "/w")


@pytest.mark.parametrize("seed", range(4))
def test_write_leaves_a_server_that_hangs_time_for_the_next(
    network: MemoryNetwork, seed: int
) -> None:
    """All tries of a write take no more than its one deadline together."""
    first, server, last = servers(network, 3)
    first.stall()
    last.stall()
    with pool_over(network, seed=seed, timeout_s=3.0) as pool:
        pool.send_pulse("/w", b"x")
        assert network.clock.now_s() <= 2.0
    assert has(server, "/w")


def test_write_that_hangs_everywhere_ends_at_its_deadline(
    network: MemoryNetwork,
) -> None:
    """Each server gets an equal part of the time, and the last one all that is left."""
    for server in servers(network, 3):
        server.stall()
    with pool_over(network, timeout_s=3.0) as pool:
        with pytest.raises(NoServerError) as caught:
            pool.send_pulse("/w", b"x")
        assert network.clock.now_s() == pytest.approx(3.0)
    assert len(caught.value.failures) == 3


def test_write_stays_where_it_went(network: MemoryNetwork) -> None:
    """After a failure writes go on at the server that took over."""
    two = servers(network, 2)
    with pool_over(network) as pool:
        pool.send_pulse("/first", b"x")
        first, second = sorted(two, key=lambda server: not has(server, "/first"))
        first.die()
        network.clock.settle()
        assert not pool.connections[two.index(first)].is_available
        pool.send_pulse("/second", b"x")
        first.come_back()
        network.clock.advance(A_MINUTE_S)
        assert all(each.is_available for each in pool.connections)
        pool.send_pulse("/third", b"x")
    assert not has(first, "/third")
    assert has(second, "/second")
    assert has(second, "/third")


def test_write_that_nobody_takes_names_each_server(network: MemoryNetwork) -> None:
    """The error has one failure for each server that was asked."""
    for server in servers(network, 2):
        server.die()
    with pool_over(network) as pool, pytest.raises(NoServerError) as caught:
        pool.send_pulse("/w", b"x")
    assert {failure.server for failure in caught.value.failures} == {
        "pm0:6699",
        "pm1:6699",
    }
    assert all(isinstance(each, CannotConnectError) for each in caught.value.failures)
    assert str(caught.value).startswith("no server answered: pm")


def test_create_path_asks_one_server(network: MemoryNetwork) -> None:
    """It is answered and stores nothing."""
    servers(network, 2)
    with pool_over(network) as pool:
        pool.create_path("/w")
        assert not pool.exists("/w")
        assert pool.list_nodes("/") == []


# Reads and deletes.


def test_read_takes_the_newest(network: MemoryNetwork) -> None:
    """Of several heartbeats of a worker the one with the newest time counts."""
    for server, time_secs in zip(servers(network, 3), (100, 300, 200), strict=True):
        server.put("/w", beat(time_secs))
    with pool_over(network) as pool:
        assert pool.get_pulse("/w") == beat(300)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_value_that_cannot_be_decoded_is_the_oldest(
    network: MemoryNetwork, order: tuple[int, int]
) -> None:
    """Any heartbeat is newer than bytes that are none, even one of before 1970."""
    two = servers(network, 2)
    two[order[0]].put("/w", b"\xff\xff")
    two[order[1]].put("/w", beat(-5))
    with pool_over(network) as pool:
        assert pool.get_pulse("/w") == beat(-5)


def test_value_that_is_alone_need_not_be_decoded(network: MemoryNetwork) -> None:
    """Where there is nothing to choose, bytes are bytes, empty ones too."""
    servers(network, 2)[0].put("/w", b"")
    with pool_over(network) as pool:
        assert pool.get_pulse("/w") == b""
        assert pool.get_pulse("/v") is None


def test_time_may_be_read_by_another(network: MemoryNetwork) -> None:
    """Who stores other values says how new they are."""
    for server, details in zip(servers(network, 2), (b"7", b"3"), strict=True):
        server.put("/w", details)
    with pool_over(network, time_secs_of=int) as pool:
        assert pool.get_pulse("/w") == b"7"


def test_equal_values_are_not_compared(network: MemoryNetwork) -> None:
    """What all servers have alike is not unpacked, however many they are."""
    asked: list[bytes] = []
    for server in servers(network, 3):
        server.put("/w", b"same")
    with pool_over(network, time_secs_of=asked.append) as pool:
        assert pool.get_pulse("/w") == b"same"
    assert asked == []


def test_deadline_ends_the_search_for_the_newest(network: MemoryNetwork) -> None:
    """Values that take their time cost the caller no more than it, once one is read."""
    times = {b"odd": None, b"1": 1, b"2": 2}

    def slow(details: bytes) -> int | None:
        network.clock.advance(LONG_S)
        return times[details]

    for server, details in zip(servers(network, 3), times, strict=True):
        server.put("/w", details)
    with pool_over(network, time_secs_of=slow) as pool:
        assert pool.get_pulse("/w") == b"1"
    assert network.clock.now_s() == 2 * LONG_S


def test_list_joins_the_answers(network: MemoryNetwork) -> None:
    """Each name is there once, sorted."""
    for server, names in zip(servers(network, 2), ("bc", "ab"), strict=True):
        for name in names:
            server.put(f"/w/{name}", b"")
    with pool_over(network) as pool:
        assert pool.list_nodes("/w") == ["a", "b", "c"]


def test_exists_where_any_server_has_it(network: MemoryNetwork) -> None:
    """One server is enough."""
    servers(network, 2)[1].put("/w", b"")
    with pool_over(network) as pool:
        assert pool.exists("/w")
        assert not pool.exists("/v")


def test_delete_reaches_every_server(network: MemoryNetwork) -> None:
    """A path and what is below it are gone everywhere; a single key alone."""
    two = servers(network, 2)
    for server in two:
        for path in ("/w", "/w/1", "/v", "/v/1"):
            server.put(path, b"")
    with pool_over(network) as pool:
        pool.delete_path("/w")
        pool.delete_pulse("/v")
    for server in two:
        assert not has(server, "/w/1")
        assert not has(server, "/v")
        assert has(server, "/v/1")


def test_servers_are_asked_together(network: MemoryNetwork) -> None:
    """Slow answers of several servers take no longer than one."""
    for server in servers(network, 3):
        server.delay_s = 2.0
    with pool_over(network) as pool:
        assert pool.list_nodes("/w") == []
    assert network.clock.now_s() == 2.0


def test_hung_server_costs_its_deadline_once(network: MemoryNetwork) -> None:
    """The first read waits for it, those that follow do not."""
    server, hung = servers(network, 2)
    server.put("/w", b"x")
    hung.script(silent_after(1))
    with pool_over(network, timeout_s=1.0) as pool:
        for _ in range(20):
            assert pool.get_pulse("/w") == b"x"
            assert network.clock.now_s() == 1.0


def test_server_that_comes_back_is_used_again(network: MemoryNetwork) -> None:
    """Without a call the pool finds it, and reads what it has."""
    first, second = servers(network, 2)
    first.put("/w/1", b"")
    second.die()
    with pool_over(network) as pool:
        assert pool.list_nodes("/w") == ["1"]
        second.come_back()
        second.put("/w/2", b"")
        network.clock.advance(A_MINUTE_S)
        assert pool.list_nodes("/w") == ["1", "2"]


def test_dead_servers_are_asked_when_nobody_else_answers(
    network: MemoryNetwork,
) -> None:
    """The last one believed in may be gone when another is just back."""
    server, dead = servers(network, 2)
    server.put("/w", b"x")
    dead.die()
    with pool_over(network) as pool:
        pool.connections[0].liveness.on_missed(0.0)
        assert pool.get_pulse("/w") == b"x"


def test_delete_is_sent_to_a_server_in_doubt(network: MemoryNetwork) -> None:
    """One that is only believed dead, and is not, does not keep what was deleted."""
    _, doubted = servers(network, 2)
    doubted.put("/w", b"x")
    with pool_over(network) as pool:
        pool.ping()
        pool.connections[1].liveness.on_missed(0.0)
        pool.delete_path("/w")
        network.clock.settle()
    assert not has(doubted, "/w")


def test_read_that_nobody_answers_names_each_server(network: MemoryNetwork) -> None:
    """A read without any answer is an error, never "nothing there"."""
    for server in servers(network, 2):
        server.script(silent_after(1))
    with pool_over(network, timeout_s=0.2) as pool:
        for ask in (pool.get_pulse, pool.list_nodes, pool.exists, pool.delete_path):
            with pytest.raises(NoServerError) as caught:
                ask("/w")
            failures = caught.value.failures
            assert [type(each) for each in failures] == [DeadlineError] * 2


# Authentication.


def refusing(peer: MemoryPeer) -> Generator[None, Message, None]:
    """Refuse every read."""
    while True:
        message = yield
        if message.type in (messages.GET_PULSE, messages.EXISTS):
            assert message.message_id is not None
            peer.send(wire.ack(Type.NOT_AUTHORIZED, message.message_id))
        else:
            peer.answer(message)


def test_refusal_counts_where_nobody_answers(network: MemoryNetwork) -> None:
    """A dead server beside one that refuses does not hide the refusal."""
    dead, server = servers(network, 2)
    dead.die()
    server.script(refusing)
    with pool_over(network) as pool, pytest.raises(NotAuthorizedError) as caught:
        pool.get_pulse("/w")
    assert caught.value.server == str(server.address)


def test_refusal_of_one_server_does_not_hide_the_other(network: MemoryNetwork) -> None:
    """Whoever answers is listened to."""
    refuses, server = servers(network, 2)
    refuses.script(refusing)
    server.put("/w", b"x")
    with pool_over(network) as pool:
        assert pool.get_pulse("/w") == b"x"


@pytest.mark.io
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


def test_ping_asks_every_server(network: MemoryNetwork) -> None:
    """The health of each server is told, with a reason where it is bad."""
    slow, dead = servers(network, 2)
    slow.delay_s = 0.5
    dead.die()
    with pool_over(network) as pool:
        good, bad = pool.ping()
    assert good == (str(slow.address), 0.5, None)
    assert str(bad.error) == f"{dead.address}: Connection refused"


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


def test_closed_pool_is_misuse(network: MemoryNetwork) -> None:
    """Every call after the end says so."""
    network.server()
    with pool_over(network) as pool:
        pool.create_path("/w")
        assert "available=True" in repr(pool)
    for ask in (pool.get_pulse, pool.create_path, pool.delete_pulse):
        with pytest.raises(ClosedError):
            ask("/w")
    with pytest.raises(ClosedError):
        pool.ping()
