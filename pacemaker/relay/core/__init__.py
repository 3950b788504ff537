"""What a relay decides: which pulses wait for which Pacemaker, and what answers mean.

It does no I/O.  Time is a number that is passed in.
"""
