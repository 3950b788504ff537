"""The daemon: an acceptor, I/O threads, connections, their life cycle."""

from pacemaker.server.daemon import Daemon, run
from pacemaker.server.options import ServerOptions

__all__ = ["Daemon", "ServerOptions", "run"]
