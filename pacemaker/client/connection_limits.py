"""The timeouts and sizes of each connection to a Pacemaker, a relay's link included."""

from __future__ import annotations

from typing import Final

# How long an attempt to connect may take, once the host's name is looked up.
CONNECT_TIMEOUT_S: Final = 5.0
# The limit for authenticating, and for a proof that the server answers.  Calls wait
# only until their own deadline.
PROOF_TIMEOUT_S: Final = 5.0

# The limit for abandoned requests without a reply.  A server that holds reads after a
# start owes some replies; one that owes this many will not send them.
MAX_ABANDONED: Final = 10_000

# How much is read from the socket at once.
READ_BYTES: Final = 256 * 1024
