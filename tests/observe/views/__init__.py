"""Tests of `pacemaker.observe.views`."""
