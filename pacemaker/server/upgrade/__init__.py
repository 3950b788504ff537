"""Upgrade in place: the daemon becomes a new process image and keeps everything.

On SIGUSR2 a child tries the whole start first.  Then the threads stand still
between two requests, heartbeats and connections are written into a memfd, and
the process executes itself anew: the same process id, the same listening
socket, every connection open.  Until `execve` any failure leaves the daemon as
it was; after it, one that cannot read the state begins empty, on the same port.
"""
