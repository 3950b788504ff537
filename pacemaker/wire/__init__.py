"""The wire format between Storm and Pacemaker, for both ends.

Bytes become messages and messages become bytes.  Nothing here does I/O or keeps the
state of a connection: `pacemaker.client` and `pacemaker.core` do.
"""
