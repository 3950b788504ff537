"""Tests of the core of the daemon, without I/O."""
