"""The daemon: its acceptor, I/O threads and connections, from start to stop."""

from pacemaker.server.daemon import Daemon
from pacemaker.server.options import ServerOptions
from pacemaker.server.run import DaemonFactory, rehearse, run

__all__ = ["Daemon", "DaemonFactory", "ServerOptions", "rehearse", "run"]
