"""Tests of pacemaker.core.store."""
