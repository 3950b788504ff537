"""From the bytes of a heartbeat to the numbers that are shown; pure."""
