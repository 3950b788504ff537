"""The daemon's I/O: listening sockets, the acceptor, I/O threads, connections."""
