"""storm-pacemaker-py: Apache Storm's Pacemaker daemon, in Python."""

from pacemaker._version import __version__

__all__ = ["__version__"]
