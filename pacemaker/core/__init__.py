"""The core of the daemon: how it handles the bytes of its peers, without I/O.

Bytes go in, bytes come out, and time is a number that is passed in.  Sockets, threads
and clocks are in `pacemaker.server`.
"""
