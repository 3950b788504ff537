"""The exit codes, by name.

From 64 to 78 they have the meaning and the number of BSD's sysexits.h, which systemd
knows by name too.  docs/configuration.md lists all of them for users.
"""

from __future__ import annotations

import signal
from typing import Final

# Success.  For `serve`: it was asked to stop, and stopped.
OK: Final = 0

# The answer is no: nothing is stored there, the user did not confirm, the daemon
# refused an upgrade, (`simulate`) the server cannot carry the cluster, or (`doctor`)
# there are warnings.
NO: Final = 1

# The command line is wrong; click uses this code itself.
USAGE: Final = 2

# `doctor` found something that does not work, or will not.
FAILURES: Final = 2

# The generator of `simulate` is saturated, so there is no verdict.
GENERATOR_BEHIND: Final = 3

# `simulate` found heartbeats of others at the server, and --force was not given.
IN_USE: Final = 4

# The daemon cannot listen on the address; the port may be in use.
CANNOT_LISTEN: Final = 69

# A bug in the program; the log has the traceback.
UNEXPECTED: Final = 70

# The system refused a thread or a descriptor that `serve` needs to start.
SYSTEM_REFUSED: Final = 71

# The output could not be written, but the command did its work.
OUTPUT_LOST: Final = 74

# No server answered; for `ping`: at least one did not.  A retry may succeed.
NO_ANSWER: Final = 75

# The servers do not let this client read.
NOT_AUTHORIZED: Final = 77

# The configuration is wrong, or a file of it cannot be read.
WRONG_CONFIGURATION: Final = 78

# Added to the number of the signal that ended the command, as shells do.
SIGNALLED: Final = 128

# The user pressed Ctrl-C.
INTERRUPTED: Final = SIGNALLED + signal.SIGINT

# The reader of the output closed the pipe.
PIPE_CLOSED: Final = SIGNALLED + signal.SIGPIPE
