"""The daemon: an acceptor, I/O threads, connections, their life cycle."""

from pacemaker.server.daemon import Daemon
from pacemaker.server.options import ServerOptions
from pacemaker.server.run import run
from pacemaker.server.upgrade.trial import check_upgrade

__all__ = ["Daemon", "ServerOptions", "check_upgrade", "run"]
