"""Tests of pacemaker.server.sizing: what a daemon gets of a machine."""

from __future__ import annotations

import os
import resource
import sys

import pytest

from pacemaker.admin.address import AdminAddress
from pacemaker.config import Settings
from pacemaker.core.history.record import NO_PEER, RECORD_BYTES
from pacemaker.server import ServerOptions, limits
from pacemaker.server.io.limits import RESERVED_DESCRIPTORS
from pacemaker.server.options import AdminOptions
from pacemaker.server.sizing import (
    connection_capacity,
    io_threads,
    new_buffer_budget,
    new_history,
    new_store,
    reserved_descriptors,
)

AVAILABLE_BYTES = 1024**3


def test_budgets_are_shares_of_the_available_memory() -> None:
    """The heartbeats get half of it and the buffers a quarter."""
    options = ServerOptions()
    assert new_store(options, AVAILABLE_BYTES).budget_bytes == AVAILABLE_BYTES // 2
    budget = new_buffer_budget(options, AVAILABLE_BYTES)
    assert budget.budget_bytes == AVAILABLE_BYTES // 4


def test_option_decides_a_budget() -> None:
    """However much memory there is."""
    options = ServerOptions(store_budget_bytes=10**6, buffer_budget_bytes=10**5)
    assert new_store(options, AVAILABLE_BYTES).budget_bytes == 10**6
    assert new_buffer_budget(options, AVAILABLE_BYTES).budget_bytes == 10**5


def test_history_is_there_unless_it_is_switched_off() -> None:
    """It begins now, with an empty page."""
    store = new_store(ServerOptions(), AVAILABLE_BYTES)
    assert new_history(ServerOptions(history=False), store) is None
    history = new_history(ServerOptions(), store)
    assert history is not None
    assert history.began_s > 0
    assert not history.records


@pytest.mark.parametrize(
    ("budget_bytes", "most_bytes"),
    [(16 * 2**20, 2**20), (2**40, limits.HISTORY_MOST_BYTES)],
)
def test_history_takes_a_share_of_the_store_and_not_more_than_enough(
    budget_bytes: int, most_bytes: int
) -> None:
    """A small store has a small one, and a large one is full at 30,000 workers."""
    options = ServerOptions(store_budget_bytes=budget_bytes)
    history = new_history(options, new_store(options, AVAILABLE_BYTES))
    assert history is not None
    key = "/workerbeats/t/"
    fits = most_bytes // (RECORD_BYTES + len(key) + 6)
    for number in range(fits):
        assert history.note_pulse(f"{key}{number:06}", NO_PEER, 1.0, b"")
    assert history.note_pulse("/workerbeats/t/another", NO_PEER, 1.0, b"") is None
    assert history.size_bytes <= most_bytes


@pytest.mark.parametrize("has_gil", [True, False])
def test_io_threads_are_one_by_default(
    has_gil: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is fastest on every build: the one without the GIL reads slower with two."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: has_gil, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert io_threads(Settings(), ServerOptions()) == 1


def test_io_threads_are_bounded_by_max_threads() -> None:
    """pacemaker.max.threads bounds what an option asks for."""
    assert io_threads(Settings(), ServerOptions(io_threads=4)) == 4
    assert io_threads(Settings(max_threads=2), ServerOptions(io_threads=4)) == 2


def test_admin_endpoint_takes_descriptors_from_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A probe must find one free, however many peers there are."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1024))
    admin = AdminOptions(AdminAddress(path="/run/admin.sock"))
    with_admin = reserved_descriptors(ServerOptions(admin=admin))
    without = reserved_descriptors(ServerOptions())
    assert with_admin - without == limits.ADMIN_DESCRIPTORS
    room = connection_capacity(1, without)
    assert 0 < room < 1024 - RESERVED_DESCRIPTORS
    assert room - connection_capacity(1, with_admin) == limits.ADMIN_DESCRIPTORS


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(20_000, 20_000 - 18 - 96), (256, 256 - 18 - 96), (64, 64 - 18 - 32), (16, 1)],
)
def test_some_descriptors_are_never_a_connections(
    descriptors: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reserve is kept, smaller if there are few, and one connection always fits."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (descriptors, descriptors))
    assert connection_capacity(1, RESERVED_DESCRIPTORS) == connections
