"""Tests of `pacemaker.observe`."""
