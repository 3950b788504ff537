"""Tests of `pacemaker.cli.options`."""
