"""Tests of pacemaker.config."""
