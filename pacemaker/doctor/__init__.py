"""Check a cluster against the traps of Storm and of this daemon.

`gather` collects facts with I/O; `checks` and the modules beside it judge them, purely.
"""
