"""Upgrade in place: the daemon executes its new version and goes on serving.

On SIGUSR2, a child first tries the whole start.  Then the threads are parked between
two requests, heartbeats and connections are written into a memfd, and the process
executes itself again.  The process id and the listening socket stay the same, and
nearly every connection stays open.  `pacemaker.server.upgrade_state` lists what is
carried over, and what is not.

Until `execve`, any failure leaves the daemon as it was.  After it, a process that
cannot read the state begins empty, on the same port.
"""
