"""Tests of `pacemaker.observe.top`."""
