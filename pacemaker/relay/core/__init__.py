"""What a relay decides: which pulse waits for which Pacemaker, what answers mean.

It does no I/O.  Time is a number that is passed in.
"""
