"""The daemon: its acceptor, I/O threads and connections, from start to stop."""

from pacemaker.server.daemon import Daemon
from pacemaker.server.options import AdminOptions, ServerOptions
from pacemaker.server.run import rehearse, run

__all__ = [
    "AdminOptions",
    "Daemon",
    "ServerOptions",
    "rehearse",
    "run",
]
