"""What hostile and careless peers send, to a daemon that serves others meanwhile.

Every case runs against a real process, on one and on four I/O threads.  A
bystander pulses and reads all the time: each of its replies has to come within
a second of what the daemon does, and the daemon's memory has to be what it was.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacemaker.core.figures import Figures
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.core.store.store import Store
from pacemaker.server.io.sockets import set_reset_on_close
from tests.real.daemons import Daemon
from tests.wire import by_hand as wire
from tests.wire.by_hand import (
    STOP,
    Type,
    Wire,
    binary,
    framed,
    i32,
    message,
    struct_field,
)

pytestmark = pytest.mark.io

MIB = 2**20
MAX_BODY_BYTES = 10 * MIB
# Of the daemon's own CPU time: by the clock on the wall a busy machine alone takes
# longer.  A daemon that hangs takes none, and is found by the time limit of a `Wire`.
REPLY_WITHIN_S = 1.0

MEMORY_WITHIN_KIB = 20 * 1024
BUFFER_BUDGET = 64 * MIB
STORE_BUDGET = 32 * MIB
GIVE_UP_S = 60.0

HUGE = struct.pack(">i", 2**31 - 1)
NEGATIVE = struct.pack(">i", -5)
PATH_REQUESTS = (
    Type.CREATE_PATH,
    Type.EXISTS,
    Type.GET_ALL_PULSE_FOR_PATH,
    Type.GET_ALL_NODES_FOR_PATH,
    Type.GET_PULSE,
    Type.DELETE_PATH,
    Type.DELETE_PULSE_ID,
)


def _with_unknown_field(field: bytes) -> bytes:
    """Return a valid CREATE_PATH with one field more, of an id that nobody knows."""
    path = struct_field(2, binary(1, "/a"))
    return framed(i32(1, Type.CREATE_PATH) + path + field + STOP)


def _claiming(size: bytes) -> bytes:
    """Return a CREATE_PATH whose path claims a length."""
    data = struct.pack(">bh", 12, 2) + struct.pack(">bh", 11, 1) + size + b"/a"
    return framed(i32(1, Type.CREATE_PATH) + data + STOP + STOP)


def _list_field(element: int, count: bytes, elements: bytes = b"") -> bytes:
    return struct.pack(">bhb", 15, 99, element) + count + elements


# Each ends its connection, and nothing else.
REFUSED = {
    "message with nothing in it": b"\0\0\0\1\0",
    "empty frame": b"\0\0\0\0",
    "negative frame length": struct.pack(">i", -1),
    "frame length one too large": struct.pack(">i", MAX_BODY_BYTES + 1),
    "largest frame length": HUGE,
    "garbage": framed(b"\xde\xad\xbe\xef" * 25),
    "type missing": framed(struct_field(2, binary(1, "/a")) + STOP),
    "unknown type": wire.path_request(99, "/a", 1),
    "negative type": wire.path_request(-1, "/a", 1),
    **{
        f"{kind.name} without data": message(kind, message_id=1)
        for kind in PATH_REQUESTS
    },
    **{
        f"{kind.name} with a pulse": message(
            kind, wire.pulse_data("/a", b"x"), message_id=1
        )
        for kind in PATH_REQUESTS
    },
    "SEND_PULSE without data": message(Type.SEND_PULSE, message_id=1),
    "SEND_PULSE with a path": wire.path_request(Type.SEND_PULSE, "/a", 1),
    "SEND_PULSE without details": message(
        Type.SEND_PULSE, wire.pulse_data("/a", None), message_id=1
    ),
    "union with nothing in it": message(Type.EXISTS, b"", message_id=1),
    "control message": message(Type.CONTROL_MESSAGE, binary(7, b"\xff\x36")),
    "unknown control code": message(Type.CONTROL_MESSAGE, binary(7, b"\x12\x34")),
    "SASL token": message(Type.SASL_MESSAGE_TOKEN, binary(7, b"\xfe\x0c\0\0\0\3abc")),
    "path of 2^31-1 bytes": _claiming(HUGE),
    "path of negative length": _claiming(NEGATIVE),
    "path of 20,000 bytes in 30": _claiming(struct.pack(">i", 20_000)),
    "path that is not UTF-8": message(
        Type.EXISTS, binary(1, b"/\xff\xfe"), message_id=1
    ),
    "list of 2^31-1 empty structs": _with_unknown_field(_list_field(12, HUGE)),
    "list of 2^31-1 booleans": _with_unknown_field(_list_field(2, HUGE)),
    "list of negative count": _with_unknown_field(_list_field(12, NEGATIVE)),
    "list of a type that is none": _with_unknown_field(
        _list_field(77, struct.pack(">i", 1), b"x")
    ),
    "map of 2^31-1 entries": _with_unknown_field(
        struct.pack(">bhbb", 13, 99, 8, 12) + HUGE
    ),
    "nodes of 2^31-1 names": message(
        Type.GET_ALL_NODES_FOR_PATH_RESPONSE,
        struct_field(5, struct.pack(">bhb", 15, 1, 11) + HUGE),
    ),
    "100,000 nested structs": _with_unknown_field(
        struct.pack(">bh", 12, 99) * 100_000 + STOP * 100_000
    ),
    "100,000 nested lists": _with_unknown_field(
        struct.pack(">bh", 15, 99) + b"\x0f\0\0\0\1" * 100_000 + b"\x02\0\0\0\0"
    ),
    "pulse at 10 MiB of slashes": wire.send_pulse("/" * (MAX_BODY_BYTES - 100), b"", 1),
    "pulse at 10,000 segments": wire.send_pulse("/a" * 10_000, b"", 1),
    "two million tiny fields": _with_unknown_field(
        struct.pack(">bhb", 2, 99, 1) * 2_000_000
    ),
    "ten million empty structs": _with_unknown_field(
        _list_field(12, struct.pack(">i", 10_000_000), STOP * 10_000_000)
    ),
}

SLASHES = "/" * (MAX_BODY_BYTES - 100)
# Each is answered like any other request, however odd.
ANSWERED = {
    "path that is no regular expression": (
        wire.path_request(Type.GET_ALL_NODES_FOR_PATH, "/workerbeats/(", 1),
        Type.GET_ALL_NODES_FOR_PATH_RESPONSE,
    ),
    "list of 10 MiB of slashes": (
        wire.path_request(Type.GET_ALL_NODES_FOR_PATH, SLASHES, 1),
        Type.GET_ALL_NODES_FOR_PATH_RESPONSE,
    ),
    "delete of 10 MiB of slashes": (
        wire.path_request(Type.DELETE_PATH, SLASHES, 1),
        Type.DELETE_PATH_RESPONSE,
    ),
    "exists of 10 MiB of slashes": (
        wire.path_request(Type.EXISTS, SLASHES, 1),
        Type.EXISTS_RESPONSE,
    ),
    "bytes behind the message": (
        framed(wire.path_request(Type.CREATE_PATH, "/a", 1)[4:] + b"x" * 100_000),
        Type.CREATE_PATH_RESPONSE,
    ),
    "unknown fields of every kind": (
        _with_unknown_field(
            struct.pack(">bhd", 4, 90, 1.5)
            + struct.pack(">bhq", 10, 91, 1)
            + _list_field(11, struct.pack(">i", 1), b"\0\0\0\2xy")
            + struct.pack(">bhbb", 13, 92, 8, 12)
            + struct.pack(">ii", 1, 1)
            + STOP
        ),
        Type.CREATE_PATH_RESPONSE,
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _descriptors() -> Iterator[None]:
    """Allow the test process as many connections as its peers need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=[1, 4], ids=["1 thread", "4 threads"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Run a daemon with small budgets."""
    with Daemon(
        "--io-threads",
        str(request.param),
        "--buffer-budget",
        str(BUFFER_BUDGET),
        "--store-budget",
        str(STORE_BUDGET),
    ) as started:
        yield started


class Bystander:
    """A worker and a Nimbus that go on while others misbehave."""

    def __init__(self, daemon: Daemon, within_s: float = REPLY_WITHIN_S) -> None:
        self._within_s = within_s
        self._daemon = daemon
        self._memory_kib = resident_kib(daemon)
        self._is_serving = threading.Event()
        self._is_over = threading.Event()
        self._slowest_s = 0.0
        self._rounds = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with Wire(self._daemon.address, GIVE_UP_S) as peer:
                self._round(peer)
                self._is_serving.set()
                while not self._is_over.is_set():
                    self._round(peer)
                self._round(peer)
        except BaseException as exc:  # handed to the test's own thread
            self._error = exc

    def _round(self, peer: Wire) -> None:
        self._rounds += 1
        beat = str(self._rounds).encode()
        for request, reply in (
            (wire.send_pulse("/b/t/1", beat, 1), wire.ack(Type.SEND_PULSE_RESPONSE, 1)),
            (
                wire.path_request(Type.GET_PULSE, "/b/t/1", 2),
                wire.pulse_reply("/b/t/1", beat, 2),
            ),
        ):
            began_s = cpu_time_s(self._daemon)
            assert peer.ask(request) == reply
            self._slowest_s = max(self._slowest_s, cpu_time_s(self._daemon) - began_s)

    def __enter__(self) -> Bystander:
        """Begin to pulse."""
        self._thread.start()
        assert self._is_serving.wait(GIVE_UP_S)
        return self

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        """Judge what the bystander saw."""
        self._is_over.set()
        self._thread.join()
        if exc_type is None:
            if self._error is not None:
                raise self._error
            assert self._slowest_s < self._within_s
            self._wait_for_memory()

    def _wait_for_memory(self) -> None:
        """Wait until the daemon has let go of connections that ended just now."""
        deadline_s = time.monotonic() + GIVE_UP_S
        allowed_kib = self._memory_kib + MEMORY_WITHIN_KIB
        while resident_kib(self._daemon) > allowed_kib:
            with Wire(self._daemon.address) as peer:
                peer.ask(wire.path_request(Type.CREATE_PATH, "/", 1))
            assert time.monotonic() < deadline_s, (
                f"{resident_kib(self._daemon)} KiB, before {self._memory_kib}"
            )


def cpu_time_s(daemon: Daemon) -> float:
    """Return the CPU time that all threads of the daemon have taken."""
    # The clock of another process, as clock_getcpuclockid(3) makes its number.
    return time.clock_gettime((~daemon.pid << 3) | 2)


def resident_kib(daemon: Daemon) -> int:
    """Return the resident memory of the daemon's process."""
    for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS: the process is gone")


def _send_in_pieces(peer: Wire, data: bytes, size: int) -> None:
    """Send as much as the server takes."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for at in range(0, len(data), size):
            peer.send(data[at : at + size])


def _pieces(data: bytes) -> tuple[int, ...]:
    """Return the sizes in which a case is sent: whole, and in single bytes.

    The kernel puts single bytes together again, so a large case tells no more
    that way than in segments; the largest in single bytes is tried below.
    """
    return (len(data), 1 if len(data) < 100_000 else 1460)


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_input_ends_its_connection_alone(daemon: Daemon, case: str) -> None:
    """Malformed input ends its own connection, after the replies that are due."""
    data = REFUSED[case]
    before = wire.path_request(Type.CREATE_PATH, "/before", 3)
    with Bystander(daemon):
        for size in _pieces(data):
            with Wire(daemon.address) as peer:
                peer.send(before)
                _send_in_pieces(peer, data, size)
                assert peer.receive() == wire.ack(Type.CREATE_PATH_RESPONSE, 3)
                assert peer.ended() == "eof"


@pytest.mark.parametrize("case", ANSWERED)
def test_odd_input_is_answered(daemon: Daemon, case: str) -> None:
    """Odd but well-formed requests are answered, and cost what their bytes cost."""
    data, reply_type = ANSWERED[case]
    with Bystander(daemon):
        for size in _pieces(data):
            with Wire(daemon.address) as peer:
                _send_in_pieces(peer, data, size)
                assert peer.receive()[4:11] == i32(1, reply_type)


def test_response_types_are_passed_over(daemon: Daemon) -> None:
    """A well-formed message that is no request gets no reply and ends nothing."""
    with Bystander(daemon), Wire(daemon.address) as peer:
        for kind in Type:
            if kind.name.endswith("_RESPONSE") or kind is Type.NOT_AUTHORIZED:
                peer.send(wire.ack(kind, 1))
        request = wire.path_request(Type.CREATE_PATH, "/", 2)
        assert peer.ask(request) == wire.ack(Type.CREATE_PATH_RESPONSE, 2)


@pytest.mark.parametrize("size", [1460, 64 * 1024, MAX_BODY_BYTES])
def test_largest_frame_in_pieces_is_stored(daemon: Daemon, size: int) -> None:
    """A frame of the full size is read in pieces, without a loss to anyone."""
    details = os.urandom(MAX_BODY_BYTES - 37 - len("/big/1"))
    with Bystander(daemon), Wire(daemon.address) as peer:
        _send_in_pieces(peer, wire.send_pulse("/big/1", details, 1), size)
        assert peer.receive() == wire.ack(Type.SEND_PULSE_RESPONSE, 1)
        reply = peer.ask(wire.path_request(Type.GET_PULSE, "/big/1", 2))
        assert reply == wire.pulse_reply("/big/1", details, 2)
        peer.ask(wire.path_request(Type.DELETE_PATH, "/big", 3))


def test_largest_frame_in_single_bytes_is_stored() -> None:
    """Ten million single bytes cost what they are: no more than ten million steps."""
    store = Store()
    protocol = ServerProtocol(
        Dispatcher(store, Figures(), MAX_BODY_BYTES), MAX_BODY_BYTES
    )
    details = os.urandom(MAX_BODY_BYTES - 37 - len("/big/1"))
    frame = wire.send_pulse("/big/1", details, 1)
    for byte in frame:
        chunks, _ = protocol.receive_data(bytes((byte,)))
    assert chunks == [wire.ack(Type.SEND_PULSE_RESPONSE, 1)]
    assert store.get("/big/1") == details


def test_resets_are_survived(daemon: Daemon) -> None:
    """Peers that are killed, at any point of a frame, cost nobody anything."""
    pulse = wire.send_pulse("/r/t/1", b"x" * 100, 1)
    with Bystander(daemon):
        for cut in range(0, len(pulse) + 1, 3):
            peer = Wire(daemon.address)
            peer.send(pulse * 3 + pulse[:cut])
            set_reset_on_close(peer.socket, True)
            peer.close()


def test_many_requests_in_one_segment_are_answered_in_order(daemon: Daemon) -> None:
    """Thousands of frames in one segment are answered, each once and in order."""
    count = 20_000
    requests = b"".join(
        wire.path_request(Type.CREATE_PATH, "/", number) for number in range(count)
    )
    expected = b"".join(
        wire.ack(Type.CREATE_PATH_RESPONSE, number) for number in range(count)
    )
    with Bystander(daemon), Wire(daemon.address) as peer:
        sender = threading.Thread(target=peer.send, args=(requests,))
        sender.start()
        assert peer.exactly(len(expected)) == expected
        sender.join()


def test_unfinished_frames_are_held_to_the_budget(daemon: Daemon) -> None:
    """A thousand connections with 9 MiB of a frame each take the budget, no more."""
    piece = b"x" * (256 * 1024)
    head = wire.send_pulse("/u", b"x" * 9_600_000, 1)[:100]
    before_kib = resident_kib(daemon)
    most_kib = 0
    # On loopback each of the thousand counts as an address, and so does the bystander:
    # in the worst case it waits until each of them has had its turn, of a millisecond.
    with Bystander(daemon, 3 * REPLY_WITHIN_S):
        peers = [_begun(daemon, head) for _ in range(1000)]
        # In turns, as far as the server lets each: 36 pieces are 9 MiB.
        left = dict.fromkeys(peers, 36)
        while left:
            most_kib = max(most_kib, resident_kib(daemon))
            _, writable, _ = select.select([], list(left), [], GIVE_UP_S)
            for peer in writable:
                if not _send_some(peer, piece) or left[peer] == 1:
                    del left[peer]
                else:
                    left[peer] -= 1
        for peer in peers:
            peer.close()
    # What a thread reads, and the holes that evicted buffers leave, come on top.
    assert most_kib < before_kib + 2.5 * BUFFER_BUDGET // 1024


def _begun(daemon: Daemon, head: bytes) -> socket.socket:
    peer = socket.create_connection(daemon.address, GIVE_UP_S)
    peer.sendall(head)
    peer.setblocking(False)
    return peer


def _send_some(peer: socket.socket, piece: bytes) -> bool:
    """Send what fits; False where the server has ended the connection."""
    try:
        peer.send(piece)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def test_peers_that_never_read_are_held_to_the_budget(daemon: Daemon) -> None:
    """Replies of 10 MiB that nobody takes do not pile up."""
    details = bytes(MAX_BODY_BYTES - 100)
    get = wire.path_request(Type.GET_PULSE, "/big/1", 1)
    before_kib = resident_kib(daemon)
    with Bystander(daemon):
        with Wire(daemon.address) as peer:
            peer.ask(wire.send_pulse("/big/1", details, 1))
        peers = [Wire(daemon.address) for _ in range(30)]
        for peer in peers:
            peer.send(get * 50)
        with Wire(daemon.address) as peer:
            peer.ask(wire.path_request(Type.CREATE_PATH, "/", 1))
            most_kib = resident_kib(daemon)
            for hanging in peers:
                hanging.close()
            peer.ask(wire.path_request(Type.DELETE_PATH, "/big", 1))
    assert most_kib < before_kib + 2 * BUFFER_BUDGET // 1024


def test_new_keys_are_held_to_the_budget(daemon: Daemon) -> None:
    """New keys without end are refused; workers that are known pulse on."""
    before_kib = resident_kib(daemon)
    with Bystander(daemon):
        stored = 0
        with Wire(daemon.address) as peer, contextlib.suppress(wire.ClosedError):
            while stored < 2 * STORE_BUDGET // 10_000:
                pulse = wire.send_pulse(f"/k/{stored}", b"x" * 10_000, 1)
                assert peer.ask(pulse) == wire.ack(Type.SEND_PULSE_RESPONSE, 1)
                stored += 1
        assert STORE_BUDGET // 2 < stored * 10_000 < STORE_BUDGET
        assert resident_kib(daemon) < before_kib + 2 * STORE_BUDGET // 1024
        with Wire(daemon.address) as peer:
            peer.ask(wire.path_request(Type.DELETE_PATH, "/k", 1))


def test_idle_connections_are_kept_on_one_thread() -> None:
    """5,000 connections that are silent, and pacemaker.max.threads 1, work."""
    pulse = wire.send_pulse("/i/t/1", b"beat", 1)
    ack = wire.ack(Type.SEND_PULSE_RESPONSE, 1)
    with Daemon("-c", "pacemaker.max.threads=1") as daemon:
        peers = [Wire(daemon.address) for _ in range(5000)]
        for peer in peers:
            peer.send(pulse)
        for peer in peers:
            assert peer.receive() == ack
            peer.close()


def test_descriptors_that_run_out_end_nothing() -> None:
    """Connections that are open go on, and new ones are taken when there is room.

    All that the daemon needs is open once it serves, so the limit may fall at once.
    """
    pulse = wire.send_pulse("/d/t/1", b"beat", 1)
    ack = wire.ack(Type.SEND_PULSE_RESPONSE, 1)
    with Daemon() as daemon:
        kept = Wire(daemon.address)
        assert kept.ask(pulse) == ack
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (60, 60))
        others = [Wire(daemon.address) for _ in range(100)]
        daemon.logged("cannot accept connections", GIVE_UP_S)
        assert kept.ask(pulse) == ack
        for other in others:
            other.close()
        with Wire(daemon.address) as late:
            assert late.ask(pulse) == ack
        kept.close()
