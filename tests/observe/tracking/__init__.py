"""Tests of `pacemaker.observe.tracking`."""
