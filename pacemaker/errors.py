"""The exceptions of storm-pacemaker-py, in one tree.

    PacemakerError
    ├── PeerError               the connection of one peer cannot continue
    │   ├── FrameError          a frame's length is out of range
    │   ├── MalformedError      the bytes are not an HBMessage
    │   ├── OutOfPlaceError     a message of another kind was expected
    │   ├── LimitError          the limits or the lack of room do not allow it
    │   └── AuthenticationError a SASL token was not accepted
    │       └── ServerFaultError    this server could not take a SASL step
    ├── ConfigError             the daemon does not start with this configuration
    │   └── NoCredentialsError  there are no credentials for the method
    ├── ClientError             a request got no answer
    │   ├── CannotConnectError  there is no connection; the request was not sent
    │   ├── ConnectionLostError the connection ended before the reply
    │   ├── DeadlineError       no reply arrived in time
    │   ├── NotAuthorizedError  the server does not let this client read
    │   ├── NoServerError       none of the servers answered
    │   └── ClosedError         the client was closed, or belongs to another process
    ├── ValueDecodeError        a stored value is not a heartbeat
    ├── ZooKeeperError          ZooKeeper refused a call of the cluster state
    │   ├── NodeMissingError    the node does not exist
    │   ├── NodeAccessError     the node's ACL does not allow the call
    │   ├── UnavailableError    no answer in time; nothing was changed
    │   └── AnswerLostError     the answer to a write was lost; it may have been done
    ├── AdminError              an admin endpoint does not answer
    ├── ServerInUseError        the server of a simulation has others' heartbeats
    ├── ListenError             the daemon cannot listen on an address
    ├── StartError              the system refuses what the daemon needs to start
    ├── UpgradeError            an upgrade in place was refused
    ├── StatusError             no daemon tells this user its status
    └── StateError              the state left by another process cannot be read

An exception carries data and builds its text in ``__str__``.  If its reason is one of
a few constant texts, it is a `DetailedError` as well.  If any other exception escapes
from the code that reads a peer's bytes, that is a bug in this package.
"""

from __future__ import annotations

import shlex
import sys
from typing import Final

_PATHS_SHOWN: Final = 3


def how_to_install(extra: str) -> str:
    """Return how to install the packages of an extra, for error messages.

    The command names this interpreter, because the pip of another one would not help.
    This project is not in any package index, so pip could not find it by its name.
    """
    pip = f"{shlex.quote(sys.executable)} -m pip install '.[{extra}]'"
    return f"in a clone of storm-pacemaker-py, run {pip}"


class PacemakerError(Exception):
    """The base class of all errors that this package raises on purpose."""


class DetailedError(PacemakerError):
    """An error whose reason is a constant text, so that equal reasons can be counted.

    Attributes:
        reason: what is wrong, as a constant text.
        detail: the figures or the value at fault, or what to do; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class PeerError(DetailedError):
    """The connection of one peer cannot continue; no other connection is affected.

    In most cases the peer broke the protocol.  It may also have done nothing wrong: the
    server is short of memory or room (`LimitError`), or could not take a SASL step
    (`ServerFaultError`).

    The log counts equal reasons together, so no peer can make up a reason.
    """


class FrameError(PeerError):
    """A frame's length is negative or above the limit."""


class MalformedError(PeerError):
    """The bytes of a frame are not an HBMessage of Storm."""


class OutOfPlaceError(PeerError):
    """A well-formed message arrived when one of another kind was expected."""


class LimitError(PeerError):
    """The server's limits, or its lack of room, do not allow what the peer needs."""


class AuthenticationError(PeerError):
    """A SASL token was not accepted; nothing may be sent to the peer after it."""


class ServerFaultError(AuthenticationError):
    """The server could not take a SASL step; the peer's token was not judged.

    The connection ends as it does after a refused token.  But the peer is not at fault,
    and the attempt is not counted as a guess.
    """


class ConfigError(PacemakerError):
    """The configuration is wrong; the daemon does not start with it.

    Attributes:
        problem: what is wrong and what would be right, in one sentence.
        key: the configuration key at fault, if there is one.
        value: the value at fault, as it was read; never a secret.
        source: the file or the option that the value came from.
    """

    def __init__(
        self,
        problem: str,
        *,
        key: str | None = None,
        value: object = None,
        source: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.key = key
        self.value = value
        self.source = source

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        what = f"{self.key}: {self.value!r}: " if self.key else ""
        return f"{where}{what}{self.problem}"


class NoCredentialsError(ConfigError):
    """There is no JAAS file, or it has no section for the method.

    Of a server this is an error like any other.  A relay does without.
    """


class ClientError(PacemakerError):
    """A request of this client got no answer.

    Attributes:
        server: ``HOST:PORT`` of the server that was asked.  For an error of a pool, the
            name of the setting that lists the servers.
        reason: what is wrong, in a few words.
    """

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server = server
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.server}: {self.reason}"


class CannotConnectError(ClientError):
    """There is no connection to the server; the request was not sent."""


class ConnectionLostError(ClientError):
    """The connection ended before the reply; the request may have been carried out."""


class DeadlineError(ClientError):
    """There was no reply in time.

    Attributes:
        was_sent: whether the request may have been carried out, now or later.
    """

    def __init__(self, server: str, reason: str, was_sent: bool) -> None:
        super().__init__(server, reason)
        self.args = (server, reason, was_sent)
        self.was_sent = was_sent


class NotAuthorizedError(ClientError):
    """The server does not let this client read."""


class NoServerError(ClientError):
    """None of the servers answered.

    Attributes:
        failures: the error of each server that was asked.
    """

    def __init__(self, server: str, failures: tuple[ClientError, ...]) -> None:
        super().__init__(server, "; ".join(map(str, failures)))
        self.args = (server, failures)
        self.failures = failures

    def __str__(self) -> str:
        return f"no server answered: {self.reason}"


class ClosedError(ClientError):
    """The client was closed, or belongs to the process that forked this one."""


class ValueDecodeError(DetailedError):
    """A stored value is not a heartbeat; no other value is affected."""


class ZooKeeperError(PacemakerError):
    """ZooKeeper refused or could not carry out a call of the cluster state.

    Attributes:
        operation: the call, such as ``set_data``.
        path: the node of the call, without storm.zookeeper.root.
        reason: what is wrong.
    """

    def __init__(self, operation: str, path: str, reason: str) -> None:
        super().__init__(operation, path, reason)
        self.operation = operation
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.operation} {self.path}: {self.reason}"


class NodeMissingError(ZooKeeperError):
    """The node does not exist."""


class NodeAccessError(ZooKeeperError):
    """The node's ACL does not allow the call, or the given ACL is not valid."""


class UnavailableError(ZooKeeperError):
    """ZooKeeper did not answer in time; the request has changed nothing.

    The call may be repeated at any time.
    """


class AnswerLostError(ZooKeeperError):
    """The connection ended during a write, and reading back did not tell its outcome.

    The write may have been done, or may still be done once there is a connection again.
    Repeat it only if doing it twice is harmless.
    """


class ServerInUseError(PacemakerError):
    """The server that a simulation would load already holds heartbeats.

    Attributes:
        server: ``HOST:PORT`` of the server.
        paths: the paths that hold the heartbeats, mostly directories of topologies.
    """

    def __init__(self, server: str, paths: tuple[str, ...]) -> None:
        super().__init__(server, paths)
        self.server = server
        self.paths = paths

    def __str__(self) -> str:
        shown = ", ".join(self.paths[:_PATHS_SHOWN])
        more = len(self.paths) - _PATHS_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.server} holds heartbeats of others: {shown}{rest}"


class AdminError(PacemakerError):
    """The admin endpoint of a daemon does not answer.

    Attributes:
        address: the endpoint.
        reason: why there is no answer.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"no answer from the admin endpoint {self.address} ({self.reason}); is"
            " the daemon running with --admin?"
        )


class ListenError(PacemakerError):
    """The daemon cannot listen on its address.

    Attributes:
        address: the host and port that were requested.
        reason: the error text of the operating system.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.reason}"


class StartError(PacemakerError):
    """The system refuses what the daemon needs to start: a thread, a descriptor."""


class UpgradeError(PacemakerError):
    """An upgrade in place was refused; the daemon continues unchanged."""


class StatusError(PacemakerError):
    """No daemon tells this user its status."""


class StateError(DetailedError):
    """The state that another process left cannot be read; none of it is used."""
