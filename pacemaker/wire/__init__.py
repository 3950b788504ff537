"""The wire between Storm and Pacemaker, for both ends: bytes to messages and back.

Without I/O.  Neither the client's side of it nor the server's is here.
"""
