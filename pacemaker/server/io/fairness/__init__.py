"""Who is served first, as plain data: no sockets, no clocks, no threads."""
