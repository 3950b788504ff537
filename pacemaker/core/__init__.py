"""The core of the daemon: how it handles the bytes of its peers, without I/O.

Bytes go in, bytes come out, and time is a number that is passed in.  Sockets, threads
and clocks are in `pacemaker.server`.

* `core.protocol` takes one connection's messages from its bytes to the store, and back;
* `core.store` has the heartbeats;
* `core.accounts` is what each peer address uses, and what it may use;
* `core.history` is who wrote, read and deleted each key.
"""
