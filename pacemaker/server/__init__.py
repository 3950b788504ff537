"""The daemon: its acceptor, I/O threads and connections, from start to stop."""

from pacemaker.core.protocol.hold_times import HoldTimes
from pacemaker.server.daemon import Daemon
from pacemaker.server.options import AdminOptions, ServerOptions
from pacemaker.server.run import dry_run, run

__all__ = [
    "AdminOptions",
    "Daemon",
    "HoldTimes",
    "ServerOptions",
    "dry_run",
    "run",
]
