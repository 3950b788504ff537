"""Tests of pacemaker.core.history."""
