"""The whole daemon in this process: its parts put together, started and stopped."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pacemaker.config import Settings
from pacemaker.core.protocol.hold_times import HoldTimes
from pacemaker.errors import StartError
from pacemaker.server import Daemon, ServerOptions, limits
from pacemaker.server import daemon as daemon_module
from pacemaker.server.process import memory
from pacemaker.server.process.clocks import boot_time_s
from pacemaker.server.process.freed_memory import TIDY_BYTES
from pacemaker.wire.fast_codec import PULSE_OVERHEAD_BYTES
from tests.server.upgrade.test_state_format import SMALL
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type, Wire

pytestmark = pytest.mark.io


@contextmanager
def serving(
    io_threads: int | None = None, settings: Settings | None = None
) -> Iterator[Daemon]:
    """Run a daemon on a free port of 127.0.0.1."""
    options = ServerOptions(bind="127.0.0.1", io_threads=io_threads)
    daemon = Daemon(settings or Settings(port=0), options)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.begin_stop()
        daemon.close()


def _address(daemon: Daemon) -> tuple[str, int]:
    host, _, port = daemon.address.rpartition(":")
    return host, int(port)


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208  (Path opens one more)


@pytest.mark.parametrize("threads", [1, 4])
def test_daemon_serves_many_connections_on_few_threads(threads: int) -> None:
    """A key stored on one connection can be read on any other, on any thread."""
    with serving(threads) as daemon:
        peers = [Wire(_address(daemon)) for _ in range(20)]
        for number, peer in enumerate(peers):
            reply = peer.ask(wire.send_pulse(f"/w/t/{number}", b"beat", number))
            assert reply == wire.ack(Type.SEND_PULSE_RESPONSE, number)
        for number, peer in enumerate(peers):
            other = (number + 7) % len(peers)
            path = f"/w/t/{other}"
            reply = peer.ask(wire.path_request(Type.GET_PULSE, path, other))
            assert reply == wire.pulse_reply(path, b"beat", other)
        figures = daemon.figures()
        assert (figures.pulses, figures.reads, figures.connections) == (20, 20, 20)
        for peer in peers:
            peer.close()


@pytest.mark.parametrize("threads", [1, 4])
def test_daemon_leaves_nothing_behind(threads: int) -> None:
    """After five starts and stops, no thread or descriptor is left."""
    with serving(threads):
        pass
    threads_before, descriptors_before = threading.active_count(), _descriptors()
    for _ in range(5):
        with serving(threads) as daemon, Wire(_address(daemon)) as peer:
            peer.ask(wire.send_pulse("/w", b"", 1))
    assert threading.active_count() == threads_before
    assert _descriptors() == descriptors_before


def test_daemon_resets_connections_when_it_stops() -> None:
    """A stop ends each connection with a reset, so clients reconnect at once."""
    with serving() as daemon:
        peer = Wire(_address(daemon))
        peer.ask(wire.send_pulse("/w", b"", 1))
    assert peer.ended() == "reset"
    peer.close()


def test_daemon_applies_the_message_size() -> None:
    """A frame of the maximum size is read; a larger one ends the connection."""
    with serving(settings=Settings(port=0, message_size_max_bytes=1000)) as daemon:
        largest = wire.send_pulse("/w", b"x" * (1000 - 39), 1)
        assert len(largest) == 1004
        with Wire(_address(daemon)) as peer:
            assert peer.ask(largest) == wire.ack(Type.SEND_PULSE_RESPONSE, 1)
        with Wire(_address(daemon)) as peer:
            peer.send((1001).to_bytes(4, "big"))
            assert peer.ended() == "eof"


def test_daemon_reports_largest_heartbeat_of_each_period() -> None:
    """The largest heartbeat is reset after each report."""
    with serving(4) as daemon, Wire(_address(daemon)) as peer:
        peer.ask(wire.send_pulse("/w/1", b"x" * 30, 1))
        peer.ask(wire.send_pulse("/w/2", b"x" * 20, 1))
        assert daemon.take_largest_pulse_bytes() == 30
        assert daemon.take_largest_pulse_bytes() == 0


def test_daemon_returns_memory_that_was_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large heartbeat that is deleted is not kept by the process."""
    given_back = threading.Event()
    monkeypatch.setattr(memory, "return_free_pages", given_back.set)
    with serving() as daemon:
        daemon.store.put("/w/1", bytes(TIDY_BYTES))
        daemon.store.delete("/w/1")
        daemon.tidy()
    assert given_back.is_set()


def test_daemon_takes_over_heartbeats_whatever_their_budget_is_now(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A smaller budget drops no heartbeat; one too large for a reply is dropped."""
    settings = Settings(port=0, message_size_max_bytes=1000)
    options = ServerOptions(bind="127.0.0.1", store_budget_bytes=1)
    daemon = Daemon(settings, options)
    largest = 1000 - PULSE_OVERHEAD_BYTES - len("/w")
    heartbeats = [("/w", bytes(largest)), ("/v", bytes(largest + 1)), ("/u", b"x")]
    state = SMALL._replace(connections=[], heartbeats=heartbeats, hold_until_s=7.0)
    daemon.restore(state, 0.0)
    assert sorted(daemon.store.items()) == [("/u", b"x"), ("/w", bytes(largest))]
    assert "/v: dropped, because it no longer fits in a reply" in caplog.text
    assert daemon.store.budget_bytes == 1
    assert daemon.hold_until_s == 7.0
    daemon.start()
    daemon.begin_stop()
    daemon.close()


def test_daemon_counts_held_reads_among_what_it_holds() -> None:
    """An upgrade makes a second copy of held reads, so they are counted."""
    options = ServerOptions("127.0.0.1", 1, hold=HoldTimes(100, 100, "a test"))
    daemon = Daemon(Settings(port=0), options)
    daemon.start()
    with Wire(_address(daemon)) as peer:
        peer.send(wire.path_request(Type.GET_PULSE, "/absent", 1))
        # Its answer comes at once, and the read before it is held by then.
        assert peer.ask(wire.path_request(Type.EXISTS, "/w", 2))
        reads_bytes = daemon.second_copy_bytes - limits.CONNECTION_BYTES
    daemon.begin_stop()
    daemon.close()
    assert reads_bytes >= len("/absent")


@pytest.mark.parametrize(("is_kept", "hold_s"), [(False, 2), (True, 1)])
def test_daemon_holds_for_as_long_as_its_start_needs(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_kept: bool,
    hold_s: int,
) -> None:
    """If the port was kept open, the hold is shorter; the log has its length."""
    monkeypatch.setattr(
        "pacemaker.server.daemon.has_inherited_listeners", lambda: is_kept
    )
    monkeypatch.setattr("pacemaker.core.protocol.hold_times.MACHINE_STARTED_S", 0.0)
    options = ServerOptions(bind="127.0.0.1", hold=HoldTimes(2, 1, "a test"))
    daemon = Daemon(Settings(port=0), options)
    with caplog.at_level("INFO"):
        daemon.start()
    with Wire(_address(daemon)) as peer:
        began_s = boot_time_s()
        reply = peer.ask(wire.path_request(Type.GET_PULSE, "/w", 1))
        assert reply == wire.pulse_reply("/w", None, 1)
        assert began_s < daemon.hold_until_s <= boot_time_s()
    daemon.begin_stop()
    daemon.close()
    assert f"holding misses for {hold_s} s" in caplog.messages


def test_daemon_that_is_not_asked_to_holds_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a hold, misses are answered at once, and nothing is logged."""
    with caplog.at_level("DEBUG"), serving() as daemon, Wire(_address(daemon)) as peer:
        reply = peer.ask(wire.path_request(Type.GET_PULSE, "/w", 1))
        assert reply == wire.pulse_reply("/w", None, 1)
    assert "holding" not in caplog.text


@pytest.mark.parametrize("threads", [1, 4])
def test_daemon_holds_reads_over_all_its_threads(threads: int) -> None:
    """A pulse on one thread answers the reads that others hold."""
    options = ServerOptions("127.0.0.1", threads, hold=HoldTimes(100, 100, "a test"))
    daemon = Daemon(Settings(port=0), options)
    daemon.start()
    readers = [Wire(_address(daemon)) for _ in range(8)]
    for number, reader in enumerate(readers):
        reader.send(wire.path_request(Type.GET_PULSE, "/w", number))
        # Its answer comes at once, and the read before it is held by then.
        assert reader.ask(wire.path_request(Type.EXISTS, "/w", 99))
    with Wire(_address(daemon)) as writer:
        assert writer.ask(wire.send_pulse("/w", b"beat", 1))
    for number, reader in enumerate(readers):
        assert reader.receive() == wire.pulse_reply("/w", b"beat", number)
    readers[0].send(wire.path_request(Type.GET_PULSE, "/absent", 1))
    assert readers[0].ask(wire.path_request(Type.EXISTS, "/w", 99))
    daemon.begin_stop()
    assert readers[0].ended() == "reset"
    daemon.close()
    for reader in readers:
        reader.close()


def test_no_connection_waits_until_the_table_of_descriptors_has_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It grows before any thread serves."""
    names: list[str] = []

    def note_threads() -> None:
        names.extend(thread.name for thread in threading.enumerate())

    monkeypatch.setattr(daemon_module, "grow_descriptor_table", note_threads)
    with serving(1):
        assert names
        assert "pacemaker-io-0" not in names


@pytest.mark.parametrize("failing", ["pacemaker-io-0", "pacemaker-io-1"])
def test_daemon_that_cannot_start_a_thread_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The error names the thread and the limits; started threads are stopped."""
    with serving(4):
        pass
    threads_before, descriptors_before = threading.active_count(), _descriptors()
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == failing:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    options = ServerOptions(bind="127.0.0.1", io_threads=4)
    daemon = Daemon(Settings(port=0), options)
    with pytest.raises(StartError, match=rf"{failing}: can't start .*TasksMax="):
        daemon.start()
    assert threading.active_count() == threads_before
    assert _descriptors() == descriptors_before


def test_daemon_serves_several_listeners() -> None:
    """The log names each listener, and all of them share one store."""
    listeners = [socket.create_server((host, 0)) for host in ("127.0.0.1", "127.0.0.2")]
    for listener in listeners:
        listener.setblocking(False)
    daemon = Daemon(Settings(), ServerOptions(), listeners=listeners)
    daemon.start()
    addresses = [listener.getsockname() for listener in listeners]
    assert daemon.address == ", ".join(f"{host}:{port}" for host, port in addresses)
    assert daemon.ports == {port for _, port in addresses}
    with Wire(addresses[0]) as writer, Wire(addresses[1]) as reader:
        writer.ask(wire.send_pulse("/w", b"beat", 1))
        reply = reader.ask(wire.path_request(Type.GET_PULSE, "/w", 2))
        assert reply == wire.pulse_reply("/w", b"beat", 2)
    daemon.begin_stop()
    daemon.close()
    assert all(listener.fileno() < 0 for listener in listeners)
