"""Tests of pacemaker.simulate."""
