"""Tests of the sockets of the daemon, most of them on a loop turned by hand."""
