"""The process around the daemon: what it asks of its system and tells its manager.

Clocks, threads, signals, memory, the log, systemd.  Nothing here knows a socket of
a peer.
"""
