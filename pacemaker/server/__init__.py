"""The daemon: an acceptor, I/O threads, connections, their life cycle."""

from pacemaker.server.daemon import Daemon
from pacemaker.server.options import ServerOptions
from pacemaker.server.run import rehearse, run

__all__ = ["Daemon", "ServerOptions", "rehearse", "run"]
