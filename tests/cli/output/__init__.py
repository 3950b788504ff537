"""Tests of `pacemaker.cli.output`."""
