"""Cost classes: how costly a connection's events have lately been to serve.

Class 0 is for peers that send small requests one at a time, as workers and Nimbus do.
From class 3, each class is twice as costly as the one below it.
"""

from __future__ import annotations

from typing import Final

from pacemaker.wire.fast_codec import begins_small_message

# The class of a new connection, which is served after those that are known to be cheap:
# a thousand new ones must not delay a peer with one larger request, such as a list.
NEW_CLASS: Final = 2
# The class of one that has sent something other than a typical heartbeat when it is
# opened: thousands that begin large frames, or send garbage, must not delay a worker.
_OTHER_NEW_CLASS: Final = NEW_CLASS + 1
_TYPICAL_BYTES: Final = 6 * 1024
# How many of the first bytes of a connection `guessed_class` needs at most.
GUESS_BYTES: Final = _TYPICAL_BYTES + 1
# A refused peer has the class of a new one, so that its end does not wait for long: its
# descriptor is in use until then.
REFUSED_CLASS: Final = 2

# The unit: a pulse, a read, a small list take less.
_CHEAP_S: Final = 0.0001
# A single request costs no more than `_LONE_COST` (`ServerProtocol.slice_cost`).  It
# takes far less than the 0.8 ms of `_MAX_LONE_CLASS`, but it may be charged for what
# others have sent: the kernel handles packets of any connection while it sends a reply.
_LONE_COST: Final = 8
_MAX_LONE_CLASS: Final = 3
# The class of a slice of several requests.
_SLICE_CLASS: Final = 3
# Connections from this class on are costly.  Workers and Nimbus are in class 0.
COSTLY_FROM_CLASS: Final = _SLICE_CLASS


def guessed_class(first_bytes: bytes) -> int:
    """Return the class of a connection that is new.

    Args:
        first_bytes: what it has sent by now, or the first `GUESS_BYTES` of it.
    """
    is_small = len(first_bytes) <= _TYPICAL_BYTES
    if is_small and begins_small_message(first_bytes, _TYPICAL_BYTES):
        return NEW_CLASS
    return _OTHER_NEW_CLASS


def next_class(cost_class: int, elapsed_s: float, slice_cost: int) -> int:
    """Return the class of a connection after one more event.

    The class moves towards the event's own by one step: an event in which memory was
    given back, or others were evicted, does not put a worker behind a thousand others.

    Args:
        cost_class: the class before the event.
        elapsed_s: how long the event took to serve.
        slice_cost: its rough cost, as the protocol counts it
            (`ServerProtocol.slice_cost`).
    """
    event_class = int(elapsed_s / _CHEAP_S).bit_length()
    # Time alone is not enough.  On a busy processor, one request may take as long as
    # thirty that are answered together.  One byte of an unfinished request may take
    # just as long.
    if slice_cost > _LONE_COST:
        event_class = max(event_class, _SLICE_CLASS)
    elif event_class <= _MAX_LONE_CLASS:
        event_class = 0
    return cost_class + (event_class > cost_class) - (event_class < cost_class)
