"""Tests against real parts: Storm's own classes, the daemon as users start it."""
