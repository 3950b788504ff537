"""Tests of `pacemaker.observe.decoding`."""
