"""The client: a connection to one Pacemaker, and a pool over all of them."""

from pacemaker.client.address import ServerAddress
from pacemaker.client.connection import PacemakerConnection
from pacemaker.client.pool import PacemakerPool, ServerHealth

__all__ = ["PacemakerConnection", "PacemakerPool", "ServerAddress", "ServerHealth"]
