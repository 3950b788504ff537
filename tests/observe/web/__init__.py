"""Tests of `pacemaker.observe.web`."""
