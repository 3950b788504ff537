"""Cost classes: how dear a connection's events have lately been to serve.

Class 0 is for peers that send small requests one at a time, as workers and Nimbus do.
From class 3, each class is twice as costly as the one below it.
"""

from __future__ import annotations

from typing import Final

# The class of a new connection: behind those that are known to be cheap, so that a
# thousand new ones do not delay a peer with a single larger request, such as a list.
NEW_CLASS: Final = 2
# The class of a refused peer, that of a new one.  Its end must not wait for long: epoll
# reports an end again in every turn, and thousands of them would take longer than
# everything else.
REFUSED_CLASS: Final = 2

# The unit: a pulse, a read, a small list take less.
_CHEAP_S: Final = 0.0001
# One request costs no more than this (`ServerProtocol.slice_cost`) and is seldom above
# this class.
_LONE_COST: Final = 8
_MOST_LONE_CLASS: Final = 1
# The class of a slice of several requests.
_SLICE_CLASS: Final = 3


def next_class(cost_class: int, elapsed_s: float, slice_cost: int) -> int:
    """Return the class of a connection after one more event.

    The class moves towards the event's own by one step: an event in which memory was
    given back, or others were evicted, does not put a worker behind a thousand others.

    Args:
        cost_class: the class before the event.
        elapsed_s: how long the event took to serve.
        slice_cost: what it was about by the protocol's count
            (`ServerProtocol.slice_cost`).
    """
    event_class = int(elapsed_s / _CHEAP_S).bit_length()
    # Not by the time alone: if the processor is busy, a lone request may take as long
    # as thirty that are answered together, or as a byte of many.
    if slice_cost > _LONE_COST:
        event_class = max(event_class, _SLICE_CLASS)
    elif event_class <= _MOST_LONE_CLASS:
        event_class = 0
    return cost_class + (event_class > cost_class) - (event_class < cost_class)
