"""The server's numbers, each with its reason."""

from __future__ import annotations

from typing import Final

# Descriptors that connections leave to everything else: an upgrade's files and
# pipes, those who wait for its outcome, the next process's start, Kerberos.  An
# upgrade has some ten open at once, and 16 may wait.
RESERVED_DESCRIPTORS: Final = 32
# Of a small limit, no more than this part.
RESERVED_SHARE: Final = 0.5

# The default of SOMAXCONN since Linux 5.4: a cluster that comes back at once.
LISTEN_BACKLOG: Final = 4096

# Netty's option in Storm; the kernel cuts it to net.core.wmem_max.
SEND_BUFFER_BYTES: Final = 5 * 1024 * 1024

# What one turn reads from one connection: some sixty usual heartbeats.  Half of it
# takes 1.4 to 1.7 times the CPU for each where fifty are under way; twice as much
# makes a read of one more costly (the buffer is allocated first).
READ_BYTES: Final = 128 * 1024

# The same while a frame is under way that is larger.
LARGE_READ_BYTES: Final = 1024 * 1024

# How long a turn of the loop serves in any order, and how long it then shares: a
# heartbeat waits for two turns at most.
TURN_S: Final = 0.003
# An account that has had more than this of the last half second or so is a crowd.
DOMINANT_S: Final = 0.02

# How often the time that was spent on an account is halved, and below what it is none.
FADE_S: Final = 0.25
FORGOTTEN_S: Final = 0.0001

# How many connections one turn takes from the backlog.
ACCEPT_BATCH: Final = 64
# How long the acceptor waits if the process or the kernel has no room, or if one of
# its turns failed.
ACCEPT_PAUSE_S: Final = 0.2

# A frame has this long, and a second more for each 100 KiB of its length.
FRAME_TIMEOUT_S: Final = 60.0
FRAME_BYTES_PER_S: Final = 100 * 1024

# A peer that takes none of its replies for this long is gone.
SEND_TIMEOUT_S: Final = 60.0

# An exchange that has begun is done within this, or not at all.
SASL_TIMEOUT_S: Final = 10.0

# How long a connection that was refused may still be read, so that the reset
# which unread bytes provoke does not destroy the replies on their way.
LINGER_S: Final = 2.0
# And how many bytes of it: more than the kernel holds of a peer that has stopped.
LINGER_BYTES: Final = 1024 * 1024

# A client asks again after 1 s and gives up after 11: what a stop has not
# answered by then is reset all the same.
STOP_TIMEOUT_S: Final = 1.5
# How often a stop looks whether the kernel has delivered what was answered.
STOP_TURN_S: Final = 0.01

# What an upgrade carries over of a frame that is there in part: far more than a
# heartbeat, and so little that a thousand of them do not make a standstill long.
CARRIED_UNREAD_BYTES: Final = 1024 * 1024
# What a connection that holds nothing takes, in the state and in Python.
CONNECTION_BYTES: Final = 2048

# What the trial of an upgrade is given of the heartbeats, to read and to store.
SAMPLED_HEARTBEATS: Final = 16
SAMPLED_BYTES: Final = 16 * 1024

# How long an I/O thread waits after a turn that failed as a whole.
FAILED_TURN_PAUSE_S: Final = 0.1

# How often connections are looked over for what is overdue.
SWEEP_S: Final = 1.0

FIGURES_EVERY_S: Final = 60.0

# How often the daemon looks whether buffers or heartbeats were freed that are
# worth giving back to the system, and how much is.  (A frame is counted once, and
# takes its size three times while it is decoded.)
TIDY_EVERY_S: Final = 1.0
TIDY_BYTES: Final = 4 * 1024 * 1024

# For how long an I/O thread then serves, times as long as that took, before it gives
# back pages of evicted buffers again.
SERVED_TIMES: Final = 9

# In the time within which the watchdog wants to be fed, the daemon looks so
# often whether all its threads get on: one turn asks them, a later one sees it.
WATCHDOG_TURNS: Final = 4

# Of the memory that the process may use.
BUFFER_BUDGET_SHARE: Final = 0.25
STORE_BUDGET_SHARE: Final = 0.5
