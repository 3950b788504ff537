"""Tests of pacemaker.client.connection, with servers that fail in every way."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from pacemaker.client import (
    PacemakerConnection,
    ServerAddress,
    connection_limits,
    requests,
    session,
)
from pacemaker.client.tcp import TcpNetwork
from pacemaker.errors import (
    CannotConnectError,
    ClientError,
    ClosedError,
    ConnectionLostError,
    DeadlineError,
    NotAuthorizedError,
)
from pacemaker.sasl.digest import DigestClient, DigestServer, digest_secret
from pacemaker.sasl.secret import Secret
from pacemaker.testing import (
    MemoryNetwork,
    MemoryPeer,
    MemoryServer,
    Script,
    silent,
    silent_after,
)
from pacemaker.wire import control, messages
from pacemaker.wire.messages import Message
from tests.client.daemons import daemon, descriptors
from tests.client.fake_server import TIMEOUT_S, FakeServer
from tests.client.fake_server import Peer as RealPeer
from tests.wire import by_hand as wire
from tests.wire.by_hand import Type

LONG_S = 30.0
"""A deadline that only a failure reaches."""

SHORT_S = 0.1
"""One that is meant to be missed."""

PING = requests.create_path("/")
SECRET = digest_secret("cluster", Secret("hunter2"))


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread or a descriptor behind."""
    threads, before = threading.active_count(), descriptors()
    yield
    assert threading.active_count() == threads
    assert descriptors() == before


@pytest.fixture
def connection(
    network: MemoryNetwork, server: MemoryServer
) -> Iterator[PacemakerConnection]:
    """Give a connection to that server, with a long deadline."""
    address = server.address
    with PacemakerConnection(address, timeout_s=LONG_S, network=network) as connection:
        yield connection


def connect(server: FakeServer | ServerAddress, **options: Any) -> PacemakerConnection:
    """Make a connection over real sockets, with a long deadline."""
    address = server if isinstance(server, ServerAddress) else server.address
    return PacemakerConnection(address, **{"timeout_s": LONG_S, **options})


@pytest.mark.io
def test_connection_carries_every_request() -> None:
    """All seven requests, against the daemon itself."""
    with daemon() as address, connect(address) as connection:
        ask = connection.request
        ask(requests.send_pulse("/w/t/1", b"beat"))
        ask(requests.send_pulse("/w/t/2", b""))
        assert ask(requests.get_pulse("/w/t/1")) == b"beat"
        assert ask(requests.get_pulse("/w/t/2")) == b""
        assert ask(requests.get_pulse("/w/t")) is None
        assert ask(requests.exists("/w/t/1"))
        assert sorted(ask(requests.list_nodes("/w/t"))) == ["1", "2"]
        ask(requests.delete_pulse("/w/t/1"))
        ask(requests.delete_path("/w"))
        assert not ask(requests.exists("/w/t/2"))
        ask(PING)


@pytest.mark.io
def test_connection_carries_large_values() -> None:
    """A heartbeat near the limit of a message is sent and read whole."""
    details = bytes(range(256)) * 40_000
    with daemon() as address, connect(address) as connection:
        connection.request(requests.send_pulse("/w", details))
        assert connection.request(requests.get_pulse("/w")) == details


def test_too_large_request_is_refused_before_it_is_sent() -> None:
    """The server would end the connection, which is other callers' too."""
    threads = threading.active_count()
    with connect(ServerAddress("127.0.0.1", 1), max_body_bytes=1000) as connection:
        with pytest.raises(ValueError, match="SEND_PULSE: the message has 1001 bytes"):
            connection.request(requests.send_pulse("/w", b"x" * (1001 - 39)))
        assert threading.active_count() == threads


def test_replies_are_matched_by_id(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """Calls in flight get their own answers, in whatever order they come."""

    def backwards(peer: MemoryPeer) -> Generator[None, Message, None]:
        yield from peer.serve(1)
        asked = []
        for _ in range(session.MAX_IN_FLIGHT):
            asked.append((yield))
        for message in reversed(asked):
            path = str(message.data)
            peer.send(wire.pulse_reply(path, path.encode(), _id(message)))
        yield from peer.serve()

    server.script(backwards)
    paths = [f"/w/{number}" for number in range(session.MAX_IN_FLIGHT)]
    calls = [connection.submit(requests.get_pulse(path)) for path in paths]
    assert [call.result() for call in calls] == [path.encode() for path in paths]


def _id(message: messages.Message) -> int:
    assert message.message_id is not None
    return message.message_id


def test_no_more_requests_are_in_flight_than_allowed(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """The one over the limit is sent when a reply has made room."""
    limit = session.MAX_IN_FLIGHT
    server.script(silent_after(1))
    calls = [connection.submit(PING) for _ in range(limit + 1)]
    network.clock.settle()
    _proof_of_life, *asked = server.requests
    assert len(asked) == limit
    server.peers[0].answer(asked[0])
    calls[0].result()
    network.clock.settle()
    assert len(server.requests) == 1 + limit + 1
    for message in server.requests[2:]:
        server.peers[0].answer(message)
    for call in calls:
        call.result()


def test_missed_deadline_of_a_read_says_that_it_may_be_held(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """A server that was just started holds reads: the error names that reason."""
    server.script(silent_after(2))
    connection.request(PING)
    with pytest.raises(DeadlineError, match="may hold the read") as caught:
        connection.request(requests.get_pulse("/w"), SHORT_S)
    assert caught.value.was_sent
    assert str(caught.value).startswith(f"{server.address}: no reply to GET_PULSE")


def test_missed_deadline_of_a_write_says_that_it_was_sent(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """A write without a reply may have been carried out."""
    server.script(silent_after(2))
    connection.request(PING)
    with pytest.raises(DeadlineError, match="no reply to SEND_PULSE") as caught:
        connection.request(requests.send_pulse("/w", b""), SHORT_S)
    assert caught.value.was_sent
    assert "hold" not in str(caught.value)


def test_call_waits_exactly_until_its_deadline(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """No sooner and no later; an answer just before it counts."""
    server.delay_s = 2.0
    began_s = network.clock.now_s()
    connection.request(PING, 2.0)
    assert network.clock.now_s() == began_s + 2.0
    with pytest.raises(DeadlineError):
        connection.request(PING, 1.5)
    assert network.clock.now_s() == began_s + 3.5


def test_late_reply_is_given_to_nobody(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """The reply to a read that was given up does not answer the next one."""
    server.script(silent_after(2))
    connection.request(PING)
    with pytest.raises(DeadlineError):
        connection.request(requests.get_pulse("/w"), SHORT_S)
    call = connection.submit(requests.get_pulse("/w"))
    (peer,) = server.peers
    network.clock.settle()
    asked = [each for each in server.requests if each.type == messages.GET_PULSE]
    peer.send(wire.pulse_reply("/w", b"old", _id(asked[0])))
    peer.send(wire.pulse_reply("/w", b"new", _id(asked[1])))
    assert call.result() == b"new"


ENDS = [MemoryPeer.reset, MemoryPeer.close]


@pytest.mark.parametrize("end", ENDS, ids=["reset", "end"])
def test_lost_connection_fails_calls_at_once(
    network: MemoryNetwork,
    server: MemoryServer,
    connection: PacemakerConnection,
    end: Callable[[MemoryPeer], None],
) -> None:
    """A call in flight does not wait for its deadline, and the next one works."""

    def once(peer: MemoryPeer) -> Generator[None, Message, None]:
        yield from peer.serve(1)
        yield
        end(peer)

    server.script(once)
    with pytest.raises(ConnectionLostError):
        connection.request(requests.send_pulse("/w", b""))
    assert network.clock.now_s() == 0.0
    connection.request(requests.send_pulse("/w", b"x"))
    assert connection.request(requests.get_pulse("/w")) == b"x"


@pytest.mark.parametrize("end", ENDS, ids=["reset", "end"])
def test_lost_idle_connection_is_noticed_at_once(
    network: MemoryNetwork,
    server: MemoryServer,
    connection: PacemakerConnection,
    end: Callable[[MemoryPeer], None],
) -> None:
    """A connection that ends while nobody calls comes back without a call."""
    connection.request(PING)
    end(server.peers[0])
    network.clock.settle()
    assert not connection.is_available
    network.clock.advance(1.0)
    assert len(server.peers) == 2
    assert connection.is_available


@pytest.mark.parametrize(
    "reply",
    [
        lambda message_id: wire.ack(Type.CREATE_PATH_RESPONSE, message_id + 1),
        lambda message_id: wire.ack(Type.CREATE_PATH_RESPONSE),
        lambda message_id: wire.ack(Type.SEND_PULSE_RESPONSE, message_id),
        lambda message_id: wire.pulse_reply("/other", b"x", message_id),
        lambda message_id: b"\0\0\0\1\0",
        lambda message_id: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        lambda message_id: b"\x7f\xff\xff\xff",
    ],
    ids=["id", "no-id", "type", "path", "empty", "http", "length"],
)
def test_server_that_breaks_the_protocol_is_left(
    server: MemoryServer,
    connection: PacemakerConnection,
    reply: Callable[[int], bytes],
) -> None:
    """A wrong reply is never an answer; the connection ends, and a new one is made."""

    def wrong(peer: MemoryPeer) -> Generator[None, Message, None]:
        yield from peer.serve(1)
        peer.send(reply(_id((yield))))
        yield from silent(peer)

    server.script(wrong)
    with pytest.raises(ConnectionLostError, match="broke the protocol"):
        connection.request(requests.get_pulse("/w"))
    connection.request(PING)


@pytest.mark.parametrize(
    ("answer", "likeness"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP response"),
        (bytes.fromhex("15030300020250"), "a TLS alert"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    ],
    ids=["http", "tls", "ssh"],
)
def test_server_of_another_protocol_is_named(
    server: MemoryServer, connection: PacemakerConnection, answer: bytes, likeness: str
) -> None:
    """Whoever took another port sees whose it is."""
    server.garble(answer)
    with pytest.raises(ClientError, match=f"it looks like {likeness}$"):
        connection.request(PING)


def expect(peer: MemoryPeer) -> Generator[None, Message, None]:
    """Take a request and end the connection."""
    yield


def reset(peer: MemoryPeer) -> Generator[None, Message, None]:
    """Take a request and end the connection by a reset."""
    yield
    peer.reset()


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("end", [silent, expect, reset])
def test_server_that_never_replies_may_be_no_pacemaker(
    server: MemoryServer, connection: PacemakerConnection, end: Script, is_known: bool
) -> None:
    """A server that only listens or closes is asked after; one that is known is not."""

    def known(peer: MemoryPeer) -> Generator[None, Message, None]:
        yield from peer.serve(2)
        yield from end(peer)

    server.script(known if is_known else end)
    if is_known:
        connection.request(PING)
    with pytest.raises(ClientError) as caught:
        connection.request(PING, SHORT_S)
    assert ("is it a Pacemaker" in str(caught.value)) is not is_known


@pytest.mark.io
def test_dead_first_address_costs_no_call() -> None:
    """A host whose first address swallows everything answers by its second one."""

    class DeadFirst(Swallowing):
        def resolve(self, address: ServerAddress) -> list[Any]:
            return [None, *TcpNetwork.resolve(self, address)]

        def begin_to_connect(self, endpoint: Any) -> socket.socket:
            if endpoint is None:
                return super().begin_to_connect(endpoint)
            return TcpNetwork.begin_to_connect(self, endpoint)

    network = DeadFirst()
    with daemon() as address, connect(address, network=network) as connection:
        connection.request(PING)
        assert network.begun.is_set()
    network.close()


def test_thread_that_cannot_start_costs_the_call_alone(
    connection: PacemakerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no thread left, the next call tries again."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(CannotConnectError, match="can't start new thread"):
            connection.request(PING)
    connection.request(PING)


@pytest.mark.io
def test_refused_connection_fails_at_once() -> None:
    """Where nothing listens a call does not wait, and names server and reason."""
    with FakeServer() as server:
        address = server.address
    with connect(address) as connection:
        with pytest.raises(CannotConnectError) as caught:
            connection.request(PING)
        assert str(caught.value) == f"{address}: Connection refused"
        assert not connection.is_available


def test_call_fails_at_once_where_the_next_attempt_is_too_late(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """Between two attempts a call with a short deadline is not kept waiting."""
    server.die()
    for timeout_s in (LONG_S, 0.0):
        with pytest.raises(CannotConnectError, match="refused"):
            connection.request(PING, timeout_s)
    assert network.clock.now_s() == 0.0


def test_server_that_comes_later_is_used(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """The connection tries by itself, and is available once the server has answered."""
    server.die()
    with pytest.raises(CannotConnectError):
        connection.request(PING)
    server.come_back()
    network.clock.advance(1.0)
    assert connection.is_available
    assert len(server.peers) == 1


@pytest.mark.io
def test_unknown_host_is_an_error_of_the_call() -> None:
    """A name that cannot be looked up is reported as such."""
    with (
        connect(ServerAddress("no-such-host.invalid", 6699)) as connection,
        pytest.raises(CannotConnectError, match=r"no-such-host\.invalid:6699: "),
    ):
        connection.request(PING)


class NoAddress(TcpNetwork):
    """A network in which hosts have no address."""

    def resolve(self, address: ServerAddress) -> list[Any]:
        """Find nothing."""
        return []


class Swallowing(TcpNetwork):
    """A network that swallows what it is given: sockets are never connected."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._far_ends: list[socket.socket] = []

    def begin_to_connect(self, endpoint: Any) -> socket.socket:
        """Give a socket that is not writable."""
        near, far = socket.socketpair()
        near.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while near.send(bytes(65536)):
                pass
        self._far_ends.append(far)
        self.begun.set()
        return near

    def close(self) -> None:
        """Close the far ends."""
        for far in self._far_ends:
            far.close()


def test_host_without_an_address_is_an_error_of_the_call() -> None:
    """There is a reason even where the system gives none."""
    place = ServerAddress("localhost", 1)
    with (
        connect(place, network=NoAddress()) as connection,
        pytest.raises(CannotConnectError, match="no address"),
    ):
        connection.request(PING)


def test_close_does_not_wait_for_a_connection_that_does_not_come(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """An attempt that is under way ends with the connection."""
    server.is_unreachable = True
    call = connection.submit(PING)
    network.clock.settle()
    connection.close()
    with pytest.raises(ClosedError):
        call.result()


def test_server_that_cannot_be_reached_is_given_up(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """An attempt has its own limit, so that the next one is made."""
    server.is_unreachable = True
    with pytest.raises(CannotConnectError, match="cannot be reached"):
        connection.request(PING)
    assert network.clock.now_s() == connection_limits.CONNECT_TIMEOUT_S
    server.is_unreachable = False
    network.clock.advance(1.0)
    assert connection.is_available


def test_silent_server_is_given_up(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """A server that gives no proof of life is tried anew over another connection."""
    server.script(silent_after(2))
    connection.request(PING)
    with pytest.raises(DeadlineError):
        connection.request(requests.send_pulse("/w", b""), SHORT_S)
    network.clock.advance(connection_limits.PROOF_TIMEOUT_S)
    assert server.peers[0].is_closed
    connection.request(PING)
    assert len(server.peers) == 2


def test_silent_server_is_not_available(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """After a missed deadline the server counts as dead, until it answers."""
    connection.request(PING)
    server.stall()
    with pytest.raises(DeadlineError):
        connection.request(requests.send_pulse("/w", b""), SHORT_S)
    assert not connection.is_available
    noticed = connection.submit(PING)
    server.resume()
    noticed.result()
    assert connection.is_available
    assert len(server.peers) == 1


def holding(peer: MemoryPeer) -> Generator[None, Message, None]:
    """Answer everything but reads."""
    while True:
        message = yield
        if message.type != messages.GET_PULSE:
            peer.answer(message)


def test_held_read_leaves_the_server_available(
    server: MemoryServer, connection: PacemakerConnection
) -> None:
    """A server that holds a read proves at once that it is alive."""
    server.script(holding)
    connection.request(PING)
    with pytest.raises(DeadlineError):
        connection.request(requests.get_pulse("/w"), SHORT_S)
    connection.request(PING)
    assert connection.is_available


def test_server_that_owes_too_many_replies_is_left(
    network: MemoryNetwork,
    server: MemoryServer,
    connection: PacemakerConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is kept of requests that were given up has a bound."""
    monkeypatch.setattr(connection_limits, "MAX_ABANDONED", 2)
    server.script(holding)
    connection.request(PING)
    for _ in range(3):
        with pytest.raises(DeadlineError):
            connection.request(requests.get_pulse("/w"), SHORT_S)
    network.clock.settle()
    assert server.peers[0].is_closed
    connection.request(PING)


# Authentication.


def digest(password: str) -> dict[str, Any]:
    """Return the option of a connection that authenticates with DIGEST."""
    secret = digest_secret("cluster", Secret(password))
    return {"mechanism_factory": lambda host: DigestClient(secret, "client")}


@pytest.mark.io
def test_digest_client_may_read() -> None:
    """With the secret a connection reads; without one it writes and is refused."""
    with daemon(lambda: DigestServer(SECRET)) as address:
        with connect(address) as worker:
            worker.request(requests.send_pulse("/w", b"beat"))
            with pytest.raises(NotAuthorizedError, match="may not read"):
                worker.request(requests.get_pulse("/w"))
            worker.request(requests.send_pulse("/w", b"beat"))
        with connect(address, **digest("hunter2")) as nimbus:
            assert nimbus.request(requests.get_pulse("/w")) == b"beat"


@pytest.mark.io
def test_wrong_secret_is_an_error_of_the_call() -> None:
    """A server that does not take the credentials closes: the error says when."""
    with (
        daemon(lambda: DigestServer(SECRET)) as address,
        connect(address, **digest("wrong")) as connection,
        pytest.raises(CannotConnectError, match="during authentication"),
    ):
        connection.request(PING)


class StuckMechanism:
    """A client's mechanism whose first step takes as long as a test wants."""

    name = "STUCK"
    begins_with_request = False
    completion_count = 1
    complete = False

    def __init__(self, may_go_on: threading.Event) -> None:
        self._may_go_on = may_go_on

    def step(self, token: bytes) -> bytes:
        """Wait for the test."""
        assert self._may_go_on.wait(TIMEOUT_S)
        self.complete = True
        return b"token"


@pytest.mark.io
def test_slow_step_holds_no_caller_beyond_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A KDC may be slow; the call is not sent, and the connection comes about.

    The time of the step is not held against the server.
    """
    monkeypatch.setattr(connection_limits, "PROOF_TIMEOUT_S", 1.0)
    may_go_on = threading.Event()

    def welcoming(peer: RealPeer) -> None:
        assert control.read_token(peer.expect()) == b"token"
        peer.send(
            messages.encode(control.control_message(control.SASL_COMPLETE_REQUEST))
        )
        peer.serve()

    make = {"mechanism_factory": lambda host: StuckMechanism(may_go_on)}
    with FakeServer(welcoming) as server, connect(server, **make) as connection:
        with pytest.raises(DeadlineError, match="SEND_PULSE was not sent") as caught:
            connection.request(requests.send_pulse("/w", b"never"), 1.1)
        assert not caught.value.was_sent
        may_go_on.set()
        assert connection.request(requests.get_pulse("/w")) is None
        server.wait_for_connection()
        assert server.accepted.empty()


def test_error_of_ours_fails_the_call(
    network: MemoryNetwork, server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug on the connection's thread is logged, and no caller is left waiting."""

    def broken(host: str) -> Any:
        raise RuntimeError("a bug")

    options: dict[str, Any] = {"network": network, "mechanism_factory": broken}
    with (
        caplog.at_level(logging.CRITICAL),
        connect(server.address, **options) as connection,
        pytest.raises(CannotConnectError, match="an internal error of this client"),
    ):
        connection.request(PING)


# The end.


def test_close_ends_the_calls_that_wait(
    network: MemoryNetwork, server: MemoryServer, connection: PacemakerConnection
) -> None:
    """Whoever waits is told, and a second close is nothing."""
    server.script(silent_after(1))
    calls = [connection.submit(requests.get_pulse("/w")) for _ in range(200)]
    network.clock.settle()
    connection.close()
    connection.close()
    for call in calls:
        with pytest.raises(ClosedError):
            call.result()
    assert repr(connection).endswith("closed=True>")


def test_closed_connection_is_misuse(connection: PacemakerConnection) -> None:
    """A call after the end is an error that says so."""
    connection.request(PING)
    connection.close()
    with pytest.raises(ClosedError, match="the connection is closed"):
        connection.request(PING)


def test_unused_connection_costs_nothing() -> None:
    """No thread, no descriptor and no attempt before the first call."""
    threads = threading.active_count()
    with connect(ServerAddress("127.0.0.1", 1)):
        assert threading.active_count() == threads


@pytest.mark.io
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_may_not_use_its_parents_connection() -> None:
    """In a child process a call is an error at once, and `close` harmless."""
    with FakeServer() as server, connect(server) as connection:
        connection.request(PING)
        pid = os.fork()
        if not pid:
            os._exit(_in_child(connection))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        connection.request(PING)


def _in_child(connection: PacemakerConnection) -> int:
    try:
        connection.request(PING)
    except ClosedError:
        connection.close()
        return 0
    except BaseException:
        return 2
    return 1
