"""All Pacemakers of a cluster, used by the rules of Storm's own client.

A heartbeat is written to one server, or to the next one if that fails.  So it may be
on any server, with an older one on another.  Reads and deletes therefore go to every
server in parallel, and the newest heartbeat wins.  (Storm's ``PacemakerClientPool`` and
``PaceMakerStateStorage``.)

**A dead server costs one deadline.**  The connection detects it, by the loss itself or
by the first call without a reply.  It then reconnects by itself and reports whether it
succeeded (`PacemakerConnection.is_available`).  Until then the pool skips that server,
unless no other one answers.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from pacemaker.client import requests
from pacemaker.client.address import ServerAddress, parse_server
from pacemaker.client.call import Call
from pacemaker.client.connection import DEFAULT_TIMEOUT_S, PacemakerConnection
from pacemaker.client.network import Network
from pacemaker.client.requests import Request
from pacemaker.client.tcp import TcpNetwork
from pacemaker.config import Settings
from pacemaker.config.keys import SERVERS
from pacemaker.errors import (
    CannotConnectError,
    ClientError,
    ClosedError,
    ConfigError,
    ConnectionLostError,
    DeadlineError,
    NoServerError,
    NotAuthorizedError,
)
from pacemaker.heartbeats.codec import time_secs_of
from pacemaker.sasl.setup import set_up_client

T = TypeVar("T")

_logger: Final = logging.getLogger(__name__)

# After one of these errors the next server is tried.
_UNANSWERED: Final = (CannotConnectError, ConnectionLostError, DeadlineError)


class ServerHealth(NamedTuple):
    """The result of a `ping` to one server.

    Attributes:
        server: ``HOST:PORT``.
        took_s: how long it took, including connecting and authenticating.
        error: why there was no answer; None if there was one.
    """

    server: str
    took_s: float
    error: ClientError | None


class PacemakerPool:
    """The heartbeats of a cluster, for any number of threads.

    Args:
        settings: Storm's configuration; `servers` may contain HOST:PORT, which
            Storm does not support.
        timeout_s: how long a call may take, however many servers it asks.
        network: the sockets and the time; a test may pass a
            `pacemaker.testing.MemoryNetwork`.
        rng: chooses the first server for writes.
        time_secs_of: returns the time of a stored heartbeat; None if it has none.

    Attributes:
        connections: one to each server, in the order of the configuration.
        writer: the index of the connection for writes: random at first, then the last
            one that accepted a write.

    Raises:
        ConfigError: no server is configured, one is malformed, or the authentication
            method cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        network: Network | None = None,
        rng: random.Random | None = None,
        time_secs_of: Callable[[bytes], int | None] = time_secs_of,
    ) -> None:
        addresses = server_addresses(settings)
        sasl = set_up_client(settings)
        for note in sasl.notes:
            _logger.warning(note)
        rng = rng or random.Random()  # noqa: S311  (no secret)
        network = network or TcpNetwork()
        self._clock = network.clock
        self._timeout_s = timeout_s
        self._time_secs_of = time_secs_of
        self.connections = tuple(
            PacemakerConnection(
                address,
                timeout_s=timeout_s,
                max_body_bytes=settings.message_size_max_bytes,
                mechanism_factory=sasl.factory,
                network=network,
                rng=random.Random(rng.random()),  # noqa: S311
            )
            for address in addresses
        )
        # Set without a lock: whichever thread comes last, its server did accept a
        # write.
        self.writer = rng.randrange(len(addresses))

    def __repr__(self) -> str:
        return f"<PacemakerPool {list(self.connections)}>"

    # Writes: one server.

    def send_pulse(self, path: str, details: bytes) -> None:
        """Store a heartbeat.

        If a server does not reply and the next one accepts the heartbeat, both may have
        it; readers use the newest anyway.

        Raises:
            NoServerError: as far as is known, no server accepted it.
            ClosedError: the pool was closed, or belongs to another process.
            ValueError: it is larger than a message may be, or the path is not
                valid Unicode.
        """
        self._write(requests.send_pulse(path, details))

    def create_path(self, path: str) -> None:
        """Get an answer from one server; nothing is stored.  Raises as `send_pulse`."""
        self._write(requests.create_path(path))

    # Reads and deletes: every server.

    def get_pulse(self, path: str) -> bytes | None:
        """Read the newest heartbeat of a path.

        Returns:
            The stored bytes with the newest `time_secs` of all servers.  A value whose
            time cannot be read, or is not read by the deadline, counts as the
            oldest.  None if no server that answered has a value.

        Raises:
            NoServerError: no server answered.
            NotAuthorizedError: every server that answered refused the read.
            ClosedError: the pool was closed, or belongs to another process.
            ValueError: the path is too long, or is not valid Unicode.
        """
        deadline_s = self._clock.now_s() + self._timeout_s
        answers = self._ask_all(requests.get_pulse(path))
        # Without duplicates: servers that have a value mostly have the same one.
        found = list(dict.fromkeys(each for each in answers if each is not None))
        if len(found) < 2:
            return found[0] if found else None
        return self._newest(found, deadline_s)

    def list_nodes(self, path: str) -> list[str]:
        """List the names below a path on all servers, sorted.

        Raises as `get_pulse`.
        """
        return sorted(set().union(*self._ask_all(requests.list_nodes(path))))

    def exists(self, path: str) -> bool:
        """Return whether any server has a heartbeat under exactly this path.

        Raises as `get_pulse`.
        """
        return any(self._ask_all(requests.exists(path)))

    def delete_path(self, path: str) -> None:
        """Delete a heartbeat and everything below it, on every server that answers.

        A server that does not answer keeps its heartbeats, and readers see them again
        when the server is back.

        Raises:
            NoServerError: no server answered.
            ClosedError: the pool was closed, or belongs to another process.
            ValueError: the path is too long, or is not valid Unicode.
        """
        self._delete(requests.delete_path(path))

    def delete_pulse(self, path: str) -> None:
        """Delete the heartbeat under exactly this path, as `delete_path` does."""
        self._delete(requests.delete_pulse(path))

    def ping(self) -> list[ServerHealth]:
        """Ask each server for an answer, including those that are believed dead.

        Raises:
            ClosedError: the pool was closed, or belongs to another process.
        """
        request = requests.create_path("/")
        calls = [connection.submit(request) for connection in self.connections]
        return [
            _health(connection.name, call)
            for connection, call in zip(self.connections, calls, strict=True)
        ]

    def close(self) -> None:
        """Close all connections; no thread and no descriptor is left."""
        for connection in self.connections:
            connection.close()

    def __enter__(self) -> PacemakerPool:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _newest(self, found: list[bytes], deadline_s: float) -> bytes:
        """Return the newest value; stop comparing at the deadline.

        Anyone can store a value that is slow to decompress and has no time.  So the
        search continues past the deadline until it has found one value with a time.
        """
        newest, newest_secs = found[0], float("-inf")
        for details in found:
            time_secs = self._time_secs_of(details)
            if time_secs is not None and time_secs > newest_secs:
                newest, newest_secs = details, time_secs
            if newest_secs > float("-inf") and self._clock.now_s() >= deadline_s:
                break
        return newest

    def _write(self, request: Request[T]) -> T:
        """Ask one server, and the next one if it fails, all within one deadline.

        Each server that is believed to answer gets an equal part of the remaining time,
        so that a server that hangs leaves time for the next.
        """
        deadline_s = self._clock.now_s() + self._timeout_s
        failures: list[ClientError] = []
        order = self._write_order()
        hopeful = sum(self.connections[index].is_available for index in order)
        for index in order:
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0 and failures:
                break
            part_s = left_s / max(1, hopeful)
            try:
                answer = self.connections[index].request(request, part_s)
            except _UNANSWERED as exc:
                failures.append(exc)
                hopeful -= 1
            else:
                self.writer = index
                return answer
        raise NoServerError(SERVERS, tuple(failures))

    def _write_order(self) -> list[int]:
        """Put the last server that accepted a write first, those believed dead last."""
        count, first = len(self.connections), self.writer
        order = [(first + step) % count for step in range(count)]
        return sorted(order, key=lambda n: not self.connections[n].is_available)

    def _delete(self, request: Request[None]) -> None:
        """Ask every server; wait only for those that are believed to answer.

        The others get the request too, without being waited for.  A server that only
        hangs, or that is being reconnected, carries the delete out as soon as it
        accepts requests again, unless its connection is lost first.
        """
        for connection in self.connections:
            if not connection.is_available:
                connection.submit(request, self._timeout_s)
        self._ask_all(request)

    def _ask_all(self, request: Request[T]) -> list[T]:
        """Ask every server that is believed to answer; if none answers, the others.

        Returns:
            The answers, at least one.
        """
        deadline_s = self._clock.now_s() + self._timeout_s
        believed = [each for each in self.connections if each.is_available]
        others = [each for each in self.connections if each not in believed]
        failures: list[ClientError] = []
        for group in (believed, others):
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0 and failures:
                break
            answers, failed = _ask(group, request, left_s)
            failures += failed
            if answers:
                return answers
        for failure in failures:
            if isinstance(failure, NotAuthorizedError):
                raise failure
        raise NoServerError(SERVERS, tuple(failures))


def server_addresses(settings: Settings) -> list[ServerAddress]:
    """Return the configured servers in their order, without duplicates.

    Raises:
        ConfigError: there is none, or one is malformed.
    """
    if not settings.servers:
        raise ConfigError("must name at least one server", key=SERVERS, value=[])
    addresses: dict[ServerAddress, None] = {}
    for server in settings.servers:
        try:
            address = parse_server(server, settings.port)
        except ValueError as exc:
            raise ConfigError(str(exc), key=SERVERS, value=server) from exc
        if not address.port:
            problem = f"a client needs to know the port of {address.host}"
            raise ConfigError(problem, key="pacemaker.port", value=settings.port)
        addresses[address] = None
    return list(addresses)


def _ask(
    connections: Iterable[PacemakerConnection], request: Request[T], timeout_s: float
) -> tuple[list[T], list[ClientError]]:
    calls = [connection.submit(request, timeout_s) for connection in connections]
    answers: list[T] = []
    failures: list[ClientError] = []
    try:
        for call in calls:
            try:
                answers.append(call.result())
            except (*_UNANSWERED, NotAuthorizedError) as exc:
                failures.append(exc)
    finally:
        for call in calls:
            call.cancel()  # after an interrupt nobody wants the answers
    return answers, failures


def _health(server: str, call: Call[Any]) -> ServerHealth:
    error: ClientError | None = None
    try:
        call.result()
    except ClosedError:
        raise
    except ClientError as exc:
        error = exc
    return ServerHealth(server, call.took_s, error)
