"""The daemon's sockets: listening, the acceptor, I/O threads and their connections."""
