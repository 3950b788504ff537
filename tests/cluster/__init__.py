"""Whole Storm clusters on this daemon, and what happens when parts of them fail.

`cluster.py` puts one together, the other modules are its parts; a scenario is
a test. `docs/cluster.md` says what the scenarios show.
"""
