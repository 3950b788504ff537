"""All Pacemakers of a cluster, by the rules of Storm's own client.

A heartbeat is written to one server, and to the next where that fails.  It may
therefore be at any of them, and an old one at another; so reads and deletes go
to every server, all at the same time, and the newest heartbeat is the one that
counts.  (Storm's ``PacemakerClientPool`` and ``PaceMakerStateStorage``.)

**A dead server costs a deadline once.**  Its connection learns of it, by the
first call that it leaves without a reply or by the loss itself, tries by itself
to come back, and says whether it has (`PacemakerConnection.is_available`).
While it has not, the pool does not ask it, unless nobody else answers.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from pacemaker.client import requests
from pacemaker.client.address import ServerAddress, parse_server
from pacemaker.client.call import Call
from pacemaker.client.connection import DEFAULT_TIMEOUT_S, PacemakerConnection
from pacemaker.client.network import Network
from pacemaker.client.requests import Request
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
from pacemaker.sasl.registry import client_mechanism_factory

T = TypeVar("T")

_logger: Final = logging.getLogger(__name__)

# After these the next server may well do it.
_UNANSWERED: Final = (CannotConnectError, ConnectionLostError, DeadlineError)


class ServerHealth(NamedTuple):
    """Whether one server answers.

    Attributes:
        server: ``HOST:PORT``.
        took_s: how long it took, connecting and authenticating included.
        error: why there was no answer; None where there was one.
    """

    server: str
    took_s: float
    error: ClientError | None


class PacemakerPool:
    """The heartbeats of a cluster, for any number of threads.

    Args:
        settings: Storm's configuration; `servers` may say HOST:PORT, which
            Storm does not know.
        timeout_s: how long a call may take, whatever number of servers it asks.
        network: opens sockets.
        rng: chooses the first server that is written to.
        time_secs_of: tells how new a stored heartbeat is; None where it cannot.

    Attributes:
        connections: one to each server, in the order of the configuration.
        writer: the number of the one that is written to: at first by chance, then
            the last that took a write.

    Raises:
        ConfigError: no server is named, or not in this way, or the method of
            authentication cannot be used.
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
        sasl = client_mechanism_factory(settings)
        for note in sasl.notes:
            _logger.warning(note)
        rng = rng or random.Random()  # noqa: S311  (no secret)
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
        # Set without a lock: whichever thread is last, it names one that did.
        self.writer = rng.randrange(len(addresses))

    def __repr__(self) -> str:
        return f"<PacemakerPool {list(self.connections)}>"

    # Writes: one server.

    def send_pulse(self, path: str, details: bytes) -> None:
        """Store a heartbeat.

        Where a server leaves it without a reply and the next one takes it, both
        may have it; readers take the newest anyway.

        Raises:
            NoServerError: no server took it, as far as is known.
            ClosedError: the pool was closed, or is another process's.
            ValueError: it is larger than a message may be, or the path is no
                valid Unicode.
        """
        self._write(requests.send_pulse(path, details))

    def create_path(self, path: str) -> None:
        """Have one server answer; nothing is stored.  Raises as `send_pulse`."""
        self._write(requests.create_path(path))

    # Reads and deletes: every server.

    def get_pulse(self, path: str) -> bytes | None:
        """Read the newest heartbeat of a path.

        Returns:
            The bytes as they were stored: of several servers' those with the
            newest `time_secs`; one whose time cannot be read, or is not read
            by the deadline, counts as the oldest.  None if no server that answered
            has any.

        Raises:
            NoServerError: no server answered.
            NotAuthorizedError: no server answered but to refuse.
            ClosedError: the pool was closed, or is another process's.
            ValueError: the path is too long, or no valid Unicode.
        """
        deadline_s = time.monotonic() + self._timeout_s
        answers = self._ask_all(requests.get_pulse(path))
        # Each value once: most servers that have one have the same.
        found = list(dict.fromkeys(each for each in answers if each is not None))
        if len(found) < 2:
            return found[0] if found else None
        return self._newest(found, deadline_s)

    def list_nodes(self, path: str) -> list[str]:
        """List the names below a path, of all servers, sorted.

        Raises as `get_pulse`.
        """
        return sorted(set().union(*self._ask_all(requests.list_nodes(path))))

    def exists(self, path: str) -> bool:
        """Tell whether any server has a heartbeat under exactly this path.

        Raises as `get_pulse`.
        """
        return any(self._ask_all(requests.exists(path)))

    def delete_path(self, path: str) -> None:
        """Delete a heartbeat and all below its path, at every server that answers.

        A server that does not answer keeps what it has, and readers see it
        again once the server is back.

        Raises:
            NoServerError: no server answered.
            ClosedError: the pool was closed, or is another process's.
            ValueError: the path is too long, or no valid Unicode.
        """
        self._delete(requests.delete_path(path))

    def delete_pulse(self, path: str) -> None:
        """Delete the heartbeat of exactly this path, as `delete_path` does."""
        self._delete(requests.delete_pulse(path))

    def ping(self) -> list[ServerHealth]:
        """Ask each server for an answer, those included that gave none lately.

        Raises:
            ClosedError: the pool was closed, or is another process's.
        """
        request = requests.create_path("/")
        calls = [connection.submit(request) for connection in self.connections]
        return [
            _health(connection.name, call)
            for connection, call in zip(self.connections, calls, strict=True)
        ]

    def close(self) -> None:
        """End all connections; no thread and no descriptor is left."""
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
        """Choose the newest, and look at no more once the deadline is over.

        Anybody can store a value that takes some time to unpack and tells none: so
        the search goes on until one was found that does.
        """
        newest, newest_secs = found[0], float("-inf")
        for details in found:
            time_secs = self._time_secs_of(details)
            if time_secs is not None and time_secs > newest_secs:
                newest, newest_secs = details, time_secs
            if newest_secs > float("-inf") and time.monotonic() >= deadline_s:
                break
        return newest

    def _write(self, request: Request[T]) -> T:
        """Ask one server, and the next where it fails, all within one deadline.

        Each that is believed to answer gets an equal part of the time that is
        left, so that one which hangs leaves some for the next.
        """
        deadline_s = time.monotonic() + self._timeout_s
        failures: list[ClientError] = []
        order = self._write_order()
        hopeful = sum(self.connections[number].is_available for number in order)
        for number in order:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 and failures:
                break
            part_s = left_s / max(1, hopeful)
            try:
                answer = self.connections[number].request(request, part_s)
            except _UNANSWERED as exc:
                failures.append(exc)
                hopeful -= 1
            else:
                self.writer = number
                return answer
        raise NoServerError(SERVERS, tuple(failures))

    def _write_order(self) -> list[int]:
        """Begin with the last that took a write; put off those believed dead."""
        count, first = len(self.connections), self.writer
        order = [(first + step) % count for step in range(count)]
        return sorted(order, key=lambda n: not self.connections[n].is_available)

    def _delete(self, request: Request[None]) -> None:
        """Ask every server; wait for those only that are believed to answer.

        One that only stands still, or is just being tried, gets it as soon as it
        takes requests again, or not at all where its connection is lost first;
        so it keeps less of what was deleted.
        """
        for connection in self.connections:
            if not connection.is_available:
                connection.submit(request, self._timeout_s)
        self._ask_all(request)

    def _ask_all(self, request: Request[T]) -> list[T]:
        """Ask every server that is believed to answer; if none does, the others.

        Returns:
            The answers, at least one.
        """
        deadline_s = time.monotonic() + self._timeout_s
        believed = [each for each in self.connections if each.is_available]
        others = [each for each in self.connections if each not in believed]
        failures: list[ClientError] = []
        for group in (believed, others):
            left_s = deadline_s - time.monotonic()
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
    """Return the servers of a configuration, each once, in their order.

    Raises:
        ConfigError: there is none, or one is not written as an address.
    """
    if not settings.servers:
        raise ConfigError("it must name the servers", key=SERVERS, value=[])
    addresses: dict[ServerAddress, None] = {}
    for server in settings.servers:
        try:
            address = parse_server(server, settings.port)
        except ValueError as exc:
            raise ConfigError(str(exc), key=SERVERS, value=server) from exc
        if not address.port:
            problem = f"clients need the port that {address.host} serves on"
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
            call.cancel()  # of no interest after an interrupt
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
