"""The constants of the relay, each with its reason."""

from __future__ import annotations

from typing import Final

# A Pacemaker is complete for this relay once it has been connected this long without
# an interruption: a worker's client is back after at most 16 s, and writes 3 s later.
COMPLETE_AFTER_S: Final = 20.0

# How long a request waits for the slowest Pacemaker.  Storm's client sends a request
# again after 1 s, and a second copy would be wasted work for every Pacemaker.
ANSWER_TIMEOUT_S: Final = 0.75
# How long a hit waits for Pacemakers that are not complete.  A Pacemaker of this
# project holds reads of absent keys for up to 20 s after its start, and is silent
# meanwhile; if it has a newer heartbeat, it answers at once.
HIT_GRACE_S: Final = 0.05

# If the newest heartbeat is older than the last one answered, the read waits this long
# for the Pacemakers that might know a newer one.  Then it is believed: clocks do step
# back.
OLDER_HIT_HELD_S: Final = 10.0

# How often a held read is asked again, and how many are asked at once.
ASK_AGAIN_AFTER_S: Final = 0.5
MAX_ASKED_AGAIN_AT_ONCE: Final = 256

# The newest pulses, and the deletes that a Pacemaker missed, are sent once more this
# long after it came back: until then, delayed bytes of another connection may arrive
# there and overwrite them.
REPEAT_AFTER_S: Final = 2.0

# How long a pulse outlives its worker's connection.  A worker that has lost its
# connection, and nothing else, is back by then or writes a newer one.
GONE_AFTER_S: Final = 5.0

# How many keys one turn looks up to find those that were deleted: about a millisecond.
SWEPT_AT_ONCE: Final = 1000

# The deletes that are kept for a Pacemaker that is away: more than the topologies and
# workers that a cluster stops in an hour.
MAX_KEPT_DELETES: Final = 10_000
MAX_DELETE_AGE_S: Final = 3600.0

# The number of keys whose last answered time is remembered: more than any cluster has
# workers.  Each takes about 250 bytes.
MAX_REMEMBERED_KEYS: Final = 200_000
