"""Tests of pacemaker.client."""
