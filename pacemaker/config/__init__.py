"""Storm's configuration, read as Storm reads it, as one typed and checked value."""

from pacemaker.config.layers import Configuration, Note
from pacemaker.config.load import load_configuration
from pacemaker.config.settings import AuthMethod, Settings

__all__ = [
    "AuthMethod",
    "Configuration",
    "Note",
    "Settings",
    "load_configuration",
]
