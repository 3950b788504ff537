"""Measure what attackers who reach the port can do to the daemon's other clients."""
