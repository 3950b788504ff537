"""Check a cluster against the traps of Storm and of this daemon.

`gather` and `host` collect facts with I/O; `checks`, `cluster` and `configuration` are
pure and turn them into findings.
"""
