"""What a peer does that Storm's clients seldom or never do, for the log.

Each kind is logged once for each connection, so that a peer cannot fill the log.  Most
of it is harmless, or refused by whoever calls this.  But a peer that keeps sending
messages that are not requests is cut off.
"""

from __future__ import annotations

import logging
from typing import Final

from pacemaker.core.protocol.dispatch import DELETES, READS
from pacemaker.errors import OutOfPlaceError
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, quoted

_logger: Final = logging.getLogger(__name__)

# How many well-formed messages that are not requests a peer may send.  Storm's clients
# send none.  Storm 2.x leaves the connection open, and so do we, as long as it may be
# a mistake.
MAX_USELESS_MESSAGES: Final = 100


class PeerConduct:
    """What one connection's peer has done so far.

    Args:
        peer: the peer's name in the log.
    """

    __slots__ = ("_logged", "_peer", "_useless")

    def __init__(self, peer: str) -> None:
        self._peer = peer
        # What has been logged about the peer already (`_action_of`).
        self._logged: tuple[tuple[int, str], ...] = ()
        self._useless = 0

    def note_unauthenticated(self, message: Message) -> None:
        """Log the first action of each kind without authentication."""
        action = _action_of(message)
        if action is None or action in self._logged:
            return
        self._logged += (action,)
        level, what = action
        _logger.log(
            level,
            "%s: %s, the peer has not authenticated: %s %s"
            " (more on this connection are only counted)",
            self._peer,
            what,
            messages.name_of(message.type),
            quoted(str(message.data)),
        )

    def note_useless(self, message: Message) -> None:
        """Tolerate some messages that are not requests; log only the first.

        Raises:
            OutOfPlaceError: there were too many.
        """
        name = messages.name_of(message.type)
        self._useless += 1
        if self._useless == 1:
            _logger.warning("%s: %s is not a request; ignored", self._peer, name)
        if self._useless > MAX_USELESS_MESSAGES:
            raise OutOfPlaceError(
                "too many messages that are not requests",
                f"more than {MAX_USELESS_MESSAGES}; the last was {name}",
            )


def _action_of(message: Message) -> tuple[int, str] | None:
    """Return the level and the text with which to log a request, or None.

    Workers delete without authentication when they stop, so a delete is not a warning.
    """
    if message.type in READS:
        return logging.WARNING, "refused a read"
    if message.type in DELETES:
        return logging.INFO, "carried out a delete"
    return None
