"""The daemon's process: clocks, threads, signals, memory, the log, systemd.

Nothing here knows about connections or heartbeats.
"""
