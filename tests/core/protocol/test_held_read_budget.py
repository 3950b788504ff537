"""Tests of pacemaker.core.protocol.held_read_budget, by connections of one thread."""

from __future__ import annotations

import tracemalloc

import pytest

from pacemaker.core.accounts.account import Account
from pacemaker.core.protocol import held_read_budget
from pacemaker.core.protocol.held_read_budget import MAX_HELD_BYTES
from pacemaker.core.store.store import Store
from tests.core.protocol.held_read_loop import (
    ACK,
    GET,
    GET_OTHER,
    HIT,
    KEY,
    MISS,
    PULSE,
    Loop,
    Peer,
    SeenMissHolder,
    size_of_a_read,
)
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, path_request


def test_read_that_finds_no_room_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a read is a miss; later there is room again."""
    monkeypatch.setattr(held_read_budget, "MAX_HELD_BYTES", 1000)
    loop = Loop()
    peer = loop.connect()
    assert peer.ask(GET) == b""
    other = path_request(Type.GET_PULSE, KEY, 8)
    assert peer.ask(other) == wire.pulse_reply(KEY, None, 8)
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert peer.taken() == HIT
    loop.store.delete(KEY)
    assert peer.ask(other) == b""


@pytest.mark.parametrize("path", [KEY * 10, "\U0001f600" + "x" * 1000])
def test_held_bytes_are_no_less_than_what_reads_take(path: str) -> None:
    """The count covers the memory used, even with one connection and key per read."""
    loop = Loop(is_on=False)
    # A plain store: what `SeenStore` remembers is not what reads take.
    loop.miss_holder = SeenMissHolder(Store())
    loop.miss_holder.begin(loop.calls.append)
    peers = [loop.connect() for _ in range(1000)]
    tracemalloc.start()
    try:
        for number, peer in enumerate(peers):
            peer.ask(path_request(Type.GET_PULSE, f"{path}{number}", 7))
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken_bytes <= loop.miss_holder.held_read_bytes


def read_odd_keys(peer: Peer, count: int, name: str = "odd") -> bytes:
    """Read keys that nobody stores, each with its own id."""
    return b"".join(
        peer.ask(path_request(Type.GET_PULSE, f"/{name}/{number}", number))
        for number in range(count)
    )


@pytest.mark.parametrize("connections", [1, 60])
@pytest.mark.parametrize("is_same_address", [False, True])
def test_nimbus_is_held_whatever_others_read(
    connections: int, is_same_address: bool
) -> None:
    """Thousands of odd reads, even from Nimbus's address, leave room for Nimbus."""
    loop = Loop()
    attacker = Account("10.0.0.1")
    nimbus = loop.connect(attacker if is_same_address else Account("10.0.0.2"))
    assert nimbus.ask(path_request(Type.GET_PULSE, "/early", 1)) == b""
    peers = [loop.connect(attacker) for _ in range(connections)]
    for number, peer in enumerate(peers):
        read_odd_keys(peer, 24_000 // connections, f"odd-{number}")
    assert nimbus.ask(path_request(Type.GET_PULSE, KEY, 7)) == b""
    for number, peer in enumerate(peers):
        read_odd_keys(peer, 2_000 // connections, f"more-{number}")
    loop.turn()
    assert nimbus.taken() == b"", "neither of its reads has been given up"
    assert (
        loop.miss_holder.held_read_bytes
        <= MAX_HELD_BYTES + held_read_budget._MAX_GIVEN_UP_BYTES
    )
    assert loop.miss_holder.refused > 0
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert nimbus.taken() == HIT


def test_full_room_is_made_by_the_largest() -> None:
    """The largest connection of the largest account gives up its oldest reads."""
    loop = Loop()
    few, many = Account("10.0.0.1"), Account("10.0.0.2")
    small, large = loop.connect(many), loop.connect(many)
    other = loop.connect(few)
    read_odd_keys(small, 2_000, "small")
    # As long as there is pressure by nobody, one account may hold it all.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacemaker.core.accounts.account.PRESSURE", 1.0)
        read_odd_keys(large, 30_000, "large")
        held_bytes = loop.miss_holder.held_read_bytes
        assert held_bytes > MAX_HELD_BYTES - 1_000
        assert other.ask(GET) == b""
    loop.turn()
    given_up = large.taken()
    assert wire.pulse_reply("/large/0", None, 0) in given_up
    assert wire.pulse_reply("/large/1000", None, 1000) not in given_up
    assert small.taken() == other.taken() == b""
    assert loop.miss_holder.held_read_bytes < held_bytes


def test_read_is_told_of_its_key_though_the_same_was_given_up_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The key stays awaited if the last other read of it is given up for this one."""
    size_bytes = size_of_a_read()
    monkeypatch.setattr(held_read_budget, "MAX_HELD_BYTES", 2 * size_bytes)
    monkeypatch.setattr(held_read_budget, "_GIVEN_UP_AT_ONCE_BYTES", 2 * size_bytes)
    loop = Loop()
    large, small = loop.connect(Account("1")), loop.connect(Account("2"))
    for message_id in (1, 2):
        assert large.ask(path_request(Type.GET_PULSE, KEY, message_id)) == b""
    assert small.ask(GET) == b""
    assert small.ask(PULSE.replace(b"/w/t/1", b"/w/t/3")) == ACK
    loop.turn()
    assert large.taken() == wire.pulse_reply(KEY, None, 2) + wire.pulse_reply(
        KEY, None, 1
    )
    loop.store.put(KEY, b"beat")
    loop.drain()
    assert small.taken() == HIT
    assert loop.is_clear


def test_account_knows_what_it_holds() -> None:
    """The total is that of the account's reads, and 0 when all are answered."""
    loop, account = Loop(), Account("10.0.0.1")
    first, second = loop.connect(account), loop.connect(account)
    first.ask(GET)
    second.ask(GET_OTHER)
    assert account.pending_bytes == loop.miss_holder.held_read_bytes
    assert account.pending_bytes == 2 * size_of_a_read()
    first.server.close()
    assert account.pending_bytes == loop.miss_holder.held_read_bytes
    assert account.pending_bytes == size_of_a_read()
    loop.miss_holder.end()
    loop.drain()
    assert account.pending_bytes == 0


def test_accounts_that_hold_nothing_leave_the_room_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once their reads are answered, they do not count for the shares."""
    monkeypatch.setattr(held_read_budget, "MAX_HELD_BYTES", 4 * size_of_a_read())
    loop = Loop()
    for number in range(3):
        peer = loop.connect(Account(f"10.0.0.{number}"))
        assert peer.ask(GET) == b""
        peer.server.close()
    alone = loop.connect(Account("10.0.0.9"))
    for message_id in range(4):
        assert alone.ask(path_request(Type.GET_PULSE, KEY, message_id)) == b""


def test_account_holds_no_more_than_the_number_that_it_is_given() -> None:
    """A configured limit applies at any time, an equal share only under pressure."""
    loop = Loop(is_on=False)
    loop.miss_holder = SeenMissHolder(loop.store, account_limit_bytes=1)
    loop.miss_holder.begin(loop.calls.append)
    peer = loop.connect(Account("10.0.0.5"))
    assert peer.ask(GET) == MISS
    assert (loop.miss_holder.refused, loop.miss_holder.held_read_bytes) == (1, 0)


def test_read_is_not_held_if_nothing_more_can_be_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reads that were given up stay in memory until answered, so they are limited."""
    monkeypatch.setattr(held_read_budget, "MAX_HELD_BYTES", 4_000)
    monkeypatch.setattr(held_read_budget, "_MAX_GIVEN_UP_BYTES", 0)
    loop = Loop()
    large, small = (loop.connect(Account(name)) for name in ("10.0.0.1", "10.0.0.2"))
    for number in range(4):
        assert large.ask(path_request(Type.GET_PULSE, KEY, number)) == b""
    assert small.ask(GET) == MISS
    monkeypatch.setattr(held_read_budget, "_MAX_GIVEN_UP_BYTES", 4_000)
    assert small.ask(GET) == b""
