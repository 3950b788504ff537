"""What a connection waits for, and which events it asks epoll for meanwhile."""

from __future__ import annotations

import select
from collections.abc import Mapping
from enum import Enum
from typing import Final


class IoState(Enum):
    """What a connection waits for."""

    # The peer's next bytes.
    READING = "reading"
    # Its turn, because it has sent more than a slice of requests at once; or credit,
    # because it has created keys or asked for lists faster than its account may; or an
    # answer that others have to give.
    WAITING = "waiting"
    # Room to write replies that the peer has not taken yet.  Nothing more is read until
    # then.
    SENDING = "sending"
    # The outcome of a SASL step.
    STEPPING = "stepping"
    # The time at which the peer may be told that it failed to authenticate.
    WITHHOLDING = "withholding"
    # The peer's end.  Its last bytes are written and a FIN has been sent.  Whatever
    # still arrives is discarded, because a reset would destroy replies in flight.
    LINGERING = "lingering"
    CLOSED = "closed"


# Epoll always reports these events: an error, and the end of both directions.
ALWAYS_REPORTED: Final = select.EPOLLERR | select.EPOLLHUP

# The epoll events that a connection asks for in each state.  (Epoll is level-
# triggered: with EPOLLIN, bytes that nobody reads would wake the loop in every turn.)
INTEREST: Final[Mapping[IoState, int]] = {
    IoState.READING: select.EPOLLIN,
    IoState.WAITING: 0,
    IoState.SENDING: select.EPOLLOUT,
    IoState.STEPPING: 0,
    IoState.WITHHOLDING: select.EPOLLRDHUP,
    IoState.LINGERING: select.EPOLLIN,
}
