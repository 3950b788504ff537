"""Tests of pacemaker.sasl."""
