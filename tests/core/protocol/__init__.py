"""Tests of pacemaker.core.protocol."""
