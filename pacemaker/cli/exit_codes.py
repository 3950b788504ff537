"""The exit codes, by name.

Those of our own are the ones of BSD's sysexits.h that mean the same, which
systemd knows by name, too; docs/configuration.md lists them for users.
"""

from __future__ import annotations

import signal

OK = 0
"""All went well; of `serve`: it was asked to stop, and stopped."""

NO = 1
"""The answer is no: nothing is stored there, the user did not confirm, the daemon
refused to be upgraded, or, of `simulate`, the server does not carry the cluster."""

USAGE = 2
"""The command line is wrong; click's own code for it."""

GENERATOR_BEHIND = 3
"""Of `simulate`: it fell behind itself, so there is no answer."""

IN_USE = 4
"""Of `simulate`: the server holds heartbeats of others, without --force."""

CANNOT_LISTEN = 69
"""The address cannot be listened on: the port is in use, for example."""

UNEXPECTED = 70
"""A fault of the program itself, written to the log."""

SYSTEM_REFUSED = 71
"""The system refuses what `serve` needs to start: a thread or a descriptor."""

OUTPUT_LOST = 74
"""The output could not be written; what the command was to do is done."""

NO_ANSWER = 75
"""No server answered; of `ping`: not every one did.  Another time it may."""

NOT_AUTHORIZED = 77
"""The servers do not let this client read."""

WRONG_CONFIGURATION = 78
"""The configuration is wrong, or a file of it cannot be read."""

SIGNALLED = 128
"""This and the number of the signal that ended the command early, as shells count."""

INTERRUPTED = SIGNALLED + signal.SIGINT
"""The user's Ctrl-C."""

PIPE_CLOSED = SIGNALLED + signal.SIGPIPE
"""Whoever read the output has closed the pipe."""
