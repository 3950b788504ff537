"""Tests of pacemaker.core.accounts."""
