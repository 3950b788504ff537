"""Tests of the heartbeats of workers: bytes to values and back."""
