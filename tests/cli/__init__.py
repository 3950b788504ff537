"""Tests of pacemaker.cli."""
