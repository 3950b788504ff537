"""Tests of the process around the daemon: memory, the log, signals, systemd."""
