"""The part of kazoo's client that the cluster state uses, and how one is made.

`ZooKeeperClient` is the seam to ZooKeeper: kazoo's client has these calls, and so has
`pacemaker.testing.FakeZooKeeper`'s.  The names, arguments, results and errors are
kazoo's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

from pacemaker.config.keys import ZOOKEEPER_SERVERS
from pacemaker.config.settings import Settings
from pacemaker.config.values import WrongValueError, zookeeper_servers
from pacemaker.errors import ConfigError

# The longest pause between two attempts to connect.  kazoo's default is a minute, long
# enough for a session to end although ZooKeeper is back.
MAX_RECONNECT_PAUSE_S: Final = 2.0

# Called with kazoo's WatchedEvent; once, except for watches that are set again.
WatchFunction: TypeAlias = Callable[[Any], None]


class AsyncResult(Protocol):
    """The answer to one request, which may not have arrived yet."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for the answer and return it, or raise kazoo's error."""


class Handler(Protocol):
    """The threads of a client."""

    def spawn(self, func: Callable[..., None], *args: Any) -> threading.Thread:
        """Run a function in a new thread."""

    def dispatch_callback(self, callback: Any) -> None:
        """Run kazoo's Callback in the callback thread, after those before it."""


class ZooKeeperClient(Protocol):
    """One session with ZooKeeper that connects, and reconnects, by itself."""

    @property
    def handler(self) -> Handler:
        """The client's threads."""

    @property
    def client_state(self) -> Any:
        """One of kazoo's KeeperState."""

    @property
    def client_id(self) -> tuple[int, bytes] | None:
        """The session's id and password; None if there is no session."""

    @property
    def last_zxid(self) -> int:
        """The newest transaction id in any answer so far."""

    def add_listener(self, listener: Callable[[Any], object]) -> None:
        """Have a function called with each new KazooState; it must not block."""

    def start_async(self) -> Any:
        """Start to connect."""

    def stop(self) -> None:
        """End the session, and the client's threads."""

    def close(self) -> None:
        """Free what a stopped client still holds."""

    def exists_async(
        self, path: str, watch: WatchFunction | None = None
    ) -> AsyncResult:
        """Return a node's ZnodeStat, or None; in both cases the watch is set."""

    def get_async(self, path: str, watch: WatchFunction | None = None) -> AsyncResult:
        """Return a node's data and ZnodeStat; without a node no watch is set."""

    def get_children_async(
        self,
        path: str,
        watch: WatchFunction | None = None,
        include_data: bool = False,
    ) -> AsyncResult:
        """Return the names of a node's children, with its ZnodeStat if asked for."""

    def create_async(
        self,
        path: str,
        value: bytes = b"",
        acl: Sequence[Any] | None = None,
        ephemeral: bool = False,
        sequence: bool = False,
    ) -> AsyncResult:
        """Create a node; return its path."""

    def set_async(self, path: str, value: bytes) -> AsyncResult:
        """Write a node's data; return its ZnodeStat."""

    def delete_async(self, path: str) -> AsyncResult:
        """Delete a node that has no children."""

    def sync_async(self, path: str) -> AsyncResult:
        """Make later reads see all earlier writes; return the path."""


# At DEBUG, kazoo logs every request with all that it contains: the password with which
# it authenticates, and the data of nodes.
_logger: Final = logging.getLogger("kazoo.pacemaker")
_logger.addFilter(lambda record: record.levelno > logging.DEBUG)

# Returns a client that is not started yet, as `kazoo_client` does.
MakeClient: TypeAlias = Callable[[Settings], ZooKeeperClient]


def kazoo_client(settings: Settings) -> ZooKeeperClient:
    """Return kazoo's client for a cluster's ZooKeeper; it is not started yet.

    Raises:
        ConfigError: storm.zookeeper.servers names no host, or something else.
    """
    try:
        # Checked again: Settings may also be created without a storm.yaml.
        hosts = zookeeper_servers(list(settings.zookeeper_servers))
    except WrongValueError as exc:
        value = list(settings.zookeeper_servers)
        raise ConfigError(str(exc), key=ZOOKEEPER_SERVERS, value=value) from exc
    client = KazooClient(
        hosts=",".join(f"{_in_url(host)}:{settings.zookeeper_port}" for host in hosts),
        timeout=settings.zookeeper_session_timeout_ms / 1000,
        auth_data=credentials(settings),
        connection_retry=KazooRetry(max_tries=-1, max_delay=MAX_RECONNECT_PAUSE_S),
        logger=_logger,
    )
    return cast("ZooKeeperClient", client)


def _in_url(host: str) -> str:
    # An item with a comma is several hosts; the port belongs to the last.
    is_bare = ":" in host and "," not in host and not host.startswith("[")
    return f"[{host}]" if is_bare else host


def credentials(settings: Settings) -> list[tuple[str, str]]:
    """Return scheme and payload: the topology's if they are set, else the cluster's.

    As in Storm's ZookeeperAuthInfo, a pair counts only if scheme and payload are set.
    """
    for scheme, payload in (
        (
            settings.zookeeper_topology_auth_scheme,
            settings.zookeeper_topology_auth_payload,
        ),
        (settings.zookeeper_auth_scheme, settings.zookeeper_auth_payload),
    ):
        if scheme is not None and payload is not None:
            return [(scheme, payload)]
    return []
