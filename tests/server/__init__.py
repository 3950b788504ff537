"""Tests of the daemon's shell: sockets, threads, life cycle."""
