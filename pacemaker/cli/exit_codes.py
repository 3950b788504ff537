"""The exit codes, by name.

From 64 to 78 they have the meaning and the number of BSD's sysexits.h, which systemd
knows by name too.  docs/configuration.md lists all of them for users.
"""

from __future__ import annotations

import signal

OK = 0
"""Success.  For `serve`: it was asked to stop, and stopped."""

NO = 1
"""The answer is no: nothing is stored there, the user did not confirm, the daemon
refused an upgrade, (`simulate`) the server cannot carry the cluster, or (`doctor`)
there are warnings."""

USAGE = 2
"""The command line is wrong; click uses this code itself."""

FAILURES = 2
"""`doctor` found something that does not work, or will not."""

GENERATOR_BEHIND = 3
"""`simulate` itself fell behind its schedule, so there is no answer."""

IN_USE = 4
"""`simulate` found heartbeats of others at the server, and --force was not given."""

CANNOT_LISTEN = 69
"""The daemon cannot listen on the address; the port may be in use."""

UNEXPECTED = 70
"""A bug in the program; the log has the traceback."""

SYSTEM_REFUSED = 71
"""The system refused a thread or a descriptor that `serve` needs to start."""

OUTPUT_LOST = 74
"""The output could not be written, but the command did its work."""

NO_ANSWER = 75
"""No server answered; for `ping`: at least one did not.  A retry may succeed."""

NOT_AUTHORIZED = 77
"""The servers do not let this client read."""

WRONG_CONFIGURATION = 78
"""The configuration is wrong, or a file of it cannot be read."""

SIGNALLED = 128
"""Added to the number of the signal that ended the command, as shells do."""

INTERRUPTED = SIGNALLED + signal.SIGINT
"""The user pressed Ctrl-C."""

PIPE_CLOSED = SIGNALLED + signal.SIGPIPE
"""The reader of the output closed the pipe."""
