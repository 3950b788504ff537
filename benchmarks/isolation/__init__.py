"""Whether anybody who can reach the port can stop the daemon for others."""
