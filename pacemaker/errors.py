"""The exceptions of storm-pacemaker-py, in one tree that says who was at fault.

    PacemakerError
    ├── PeerError               the peer broke the protocol: its connection ends
    │   ├── FrameError          a length that no frame may have
    │   ├── MalformedError      bytes that are no HBMessage
    │   ├── OutOfPlaceError     a message where another kind is due
    │   ├── LimitError          more than one connection may ask for
    │   └── AuthenticationError a SASL token that is refused
    │       └── ServerFaultError    a SASL step that this server could not take
    ├── ConfigError             a configuration that the daemon will not start with
    ├── ClientError             a request that got no answer
    │   ├── CannotConnectError  there is no connection; it was not sent
    │   ├── ConnectionLostError the connection ended before the reply
    │   ├── DeadlineError       no reply in time
    │   ├── NotAuthorizedError  the server does not let this client read
    │   ├── NoServerError       none of the servers answered
    │   └── ClosedError         the client was closed, or belongs to another process
    ├── ValueDecodeError        a stored value that is no heartbeat
    ├── ZooKeeperError          ZooKeeper refused a call of the cluster state
    │   ├── NodeMissingError    there is no such node
    │   ├── NodeAccessError     the node's ACL does not allow it
    │   ├── UnavailableError    no answer in time; what was asked is not done
    │   └── AnswerLostError     a write whose answer was lost: it may have been done
    ├── ServerInUseError        a simulation would be among others' heartbeats
    ├── ListenError             an address that the daemon cannot listen on
    ├── StartError              the system refuses what the daemon needs to start
    ├── UpgradeError            an upgrade in place that was refused
    └── StateError              a state of another process that cannot be read

An exception carries data and builds its text in ``__str__``.  Anything else
that escapes from the code that reads a peer's bytes is a bug of ours.
"""

from __future__ import annotations

import shlex
import sys

_PATHS_SHOWN = 3


def how_to_install(extra: str) -> str:
    """Return how to install what an extra brings, for the messages of errors.

    The command names this interpreter: another one's pip would not help.  No package
    index has this project, so that its name is of no use to pip.
    """
    pip = f"{shlex.quote(sys.executable)} -m pip install '.[{extra}]'"
    return f"in a clone of storm-pacemaker-py, run {pip}"


class PacemakerError(Exception):
    """The base of all errors that this package raises on purpose."""


class PeerError(PacemakerError):
    """The peer broke the protocol; its connection is closed, no other one.

    Attributes:
        reason: what is wrong, a constant text: equal reasons are counted
            together in the log.
        detail: the figures or the value at fault; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class FrameError(PeerError):
    """A frame's length is negative or above the limit."""


class MalformedError(PeerError):
    """The bytes of a frame are no HBMessage of Storm's."""


class OutOfPlaceError(PeerError):
    """A well-formed message came where another kind is due."""


class LimitError(PeerError):
    """The peer asks for more than the server's limits allow."""


class AuthenticationError(PeerError):
    """A SASL token was refused; nothing may be sent to the peer after it."""


class ServerFaultError(AuthenticationError):
    """The server could not take a SASL step; the peer's token was not judged.

    The connection ends as with a token that is refused, but the peer is not at
    fault, and the attempt is not counted as a guess.
    """


class ConfigError(PacemakerError):
    """The configuration is wrong; the daemon does not start with it.

    Attributes:
        problem: what is wrong and what would be right, in one sentence.
        key: the configuration key at fault, if it is about one.
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


class ClientError(PacemakerError):
    """A request of this client's got no answer.

    Attributes:
        server: ``HOST:PORT`` of the server that was asked; of a pool's error,
            the name of the setting that lists them.
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
        failures: why not, one error for each server that was asked.
    """

    def __init__(self, server: str, failures: tuple[ClientError, ...]) -> None:
        super().__init__(server, "; ".join(map(str, failures)))
        self.args = (server, failures)
        self.failures = failures

    def __str__(self) -> str:
        return f"no server answered: {self.reason}"


class ClosedError(ClientError):
    """The client was closed, or belongs to the process that this one is a fork of."""


class ValueDecodeError(PacemakerError):
    """A stored value is no heartbeat; it costs nothing but itself.

    Attributes:
        reason: what is wrong, a constant text.
        detail: the figures at fault, or what to do; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class ZooKeeperError(PacemakerError):
    """ZooKeeper refused, or could not do, what the cluster state asked of it.

    Attributes:
        operation: the call, as ``set_data``.
        path: the node that it was about, without storm.zookeeper.root.
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
    """There is no such node."""


class NodeAccessError(ZooKeeperError):
    """The node's ACL does not allow it, or the ACL given is none."""


class UnavailableError(ZooKeeperError):
    """ZooKeeper did not answer in time; the request at hand has changed nothing.

    The call may be repeated at any time.
    """


class AnswerLostError(ZooKeeperError):
    """The connection ended during a write, and reading back could not settle it.

    The write may have been done, or may yet be done when there is a connection
    again; whoever repeats it must bear with its being done twice.
    """


class ServerInUseError(PacemakerError):
    """A server to be loaded with a simulation holds heartbeats already.

    Attributes:
        server: ``HOST:PORT``.
        paths: what holds them: the directories of topologies, mostly.
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


class ListenError(PacemakerError):
    """The daemon cannot listen on its address.

    Attributes:
        address: host and port as they were asked for.
        reason: the operating system's word for what is wrong.
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
    """An upgrade in place was refused; the daemon serves on as it was."""


class StateError(PacemakerError):
    """The state that another process left cannot be read; nothing of it is used.

    Attributes:
        reason: what is wrong, a constant text.
        detail: the figures at fault; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason
