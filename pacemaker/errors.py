"""The exceptions of storm-pacemaker-py, in one tree that says who was at fault.

    PacemakerError
    ├── PeerError               the peer broke the protocol: its connection ends
    │   ├── FrameError          a length that no frame may have
    │   ├── MalformedError      bytes that are no HBMessage
    │   ├── OutOfPlaceError     a message where another kind is due
    │   ├── LimitError          more than one connection may ask for
    │   └── AuthenticationError a SASL token that is refused
    ├── ConfigError             a configuration that the daemon will not start with
    ├── ValueDecodeError        a stored value that is no heartbeat
    └── ListenError             an address that the daemon cannot listen on

An exception carries data and builds its text in ``__str__``.  Anything else
that escapes from the code that reads a peer's bytes is a bug of ours.
"""

from __future__ import annotations


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
