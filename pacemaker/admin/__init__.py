"""The admin endpoint: a small, read-only HTTP server beside a daemon.

All decisions are pure: which requests are answered (`routes`), what makes a process
healthy (`health`, `progress`), and how figures are written (`exposition`).  `server` is
the thin shell around them, with its own listener and threads.
"""
