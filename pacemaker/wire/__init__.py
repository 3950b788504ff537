"""The wire between Storm and Pacemaker, for both ends: bytes to messages and back.

Nothing here does I/O or keeps the state of a connection: that is `pacemaker.client`'s
and `pacemaker.core`'s.
"""
