"""Tests of the cluster state, without I/O."""
