"""The core of the daemon: what it does with the bytes of its peers, without I/O.

Bytes in, bytes out; time is a number that is passed in.  Sockets, threads and clocks
are in `pacemaker.server`.
"""
