"""Tests of who is served first."""
