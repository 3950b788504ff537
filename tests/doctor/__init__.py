"""Tests of `pacemaker.doctor`."""
