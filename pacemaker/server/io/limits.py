"""The limits of the acceptor and the I/O threads, each with its reason."""

from __future__ import annotations

from typing import Final

# Descriptors that connections leave free for everything else: an upgrade's files and
# pipes, the clients that wait for its outcome, the start of the next process, Kerberos.
# An upgrade has some ten open at once, and 16 clients may wait.
RESERVED_DESCRIPTORS: Final = 32
# If the limit of descriptors is small, no more than this fraction of it is reserved.
MAX_RESERVED_SHARE: Final = 0.5

# When descriptors run out, connections whose peers have been silent for this long are
# closed.  Workers send something every 3 seconds, and Nimbus every 10.
IDLE_S: Final = 30.0
# How often to look for such connections meanwhile, and at how many each time.
IDLE_SEARCH_PAUSE_S: Final = 0.1
IDLE_SEARCH_STEP: Final = 500

# The default of SOMAXCONN since Linux 5.4: a whole cluster may reconnect at once.
LISTEN_BACKLOG: Final = 4096

# How long the kernel keeps a connection to itself that has not sent anything.  The
# backlog is a queue without any order by address: thousands of silent connections from
# one address delayed a new worker from another by 30 ms.  Storm's clients speak first,
# so none of theirs waits.
DEFER_ACCEPT_S: Final = 1

# The same as Netty's option in Storm.  The kernel limits it to net.core.wmem_max.
SEND_BUFFER_BYTES: Final = 5 * 1024 * 1024

# What the kernel may keep of what a connection of a crowd has sent.  Linux doubles this
# number and uses half of the result as the window: 64 KiB, which is also its default
# start.  With less, it dropped the next pulse of a worker whose buffer was shrunk.
SMALL_RECEIVE_BUFFER_BYTES: Final = 64 * 1024

# Only the connections of an address with at least this many get a small buffer.  Fewer
# cannot use up the kernel's memory, and a small buffer makes a large heartbeat take a
# tenth more time.
SMALL_BUFFER_FROM_CONNECTIONS: Final = 64

# What one turn reads from one connection: some sixty typical heartbeats.  With half of
# it, each heartbeat takes 1.4 to 1.7 times the CPU when fifty are under way.  With
# twice as much, reading a single heartbeat costs more (the buffer is allocated first).
READ_BYTES: Final = 128 * 1024

# The same while a larger frame is under way.
LARGE_READ_BYTES: Final = 1024 * 1024

# How often a turn is timed, for the histogram of durations.
TIMED_EVERY_S: Final = 0.01

# How long a connection is new: until then its requests may turn out to be costly.
NEW_S: Final = 1.0

# How long connections are accepted between two turns: about a hundred of them.
ACCEPT_S: Final = 0.003
# If the turn before has taken longer, accepting may take as long as that, up to this: a
# turn with a thousand pulses takes about as long.  Otherwise the last of a cluster that
# connects at once would wait until the first have had many turns.
MAX_ACCEPT_S: Final = 0.015
# How many descriptors are left for connections that were accepted before those that
# make room for them are closed.
ACCEPTED_AHEAD: Final = 64
# How long the acceptor waits if the process or the kernel has no room, or if it failed.
ACCEPT_PAUSE_S: Final = 0.01

# A frame must be complete within this time, plus a second for each 100 KiB of its
# length.
FRAME_TIMEOUT_S: Final = 60.0
FRAME_BYTES_PER_S: Final = 100 * 1024

# A peer that receives none of its replies for this long is considered gone.
SEND_TIMEOUT_S: Final = 60.0

# A SASL exchange that has begun must be complete within this time.
SASL_TIMEOUT_S: Final = 10.0

# How long a refused connection is still read.  Closing it with unread bytes would
# cause a reset, which could destroy the replies on their way.
LINGER_S: Final = 2.0
# How many bytes of a refused connection are read in that time: more than the kernel
# buffers for a peer that has stopped sending.
LINGER_BYTES: Final = 1024 * 1024

# How long a stop waits.  A client asks again after 1 s and gives up after 11 s.  What
# is not answered by this time is reset.
STOP_TIMEOUT_S: Final = 1.25
# How often a stop checks whether the kernel has delivered the replies.
STOP_POLL_S: Final = 0.01

# How much of a partly received frame an upgrade carries over: far more than a heartbeat
# of a worker with a hundred executors.  The budget of all buffers bounds their sum.
MAX_CARRIED_UNREAD_BYTES: Final = 4 * 1024 * 1024

# How long an I/O thread waits after a turn that failed as a whole.
FAILED_TURN_PAUSE_S: Final = 0.1

# How often connections are checked for timeouts.
SWEEP_S: Final = 1.0
