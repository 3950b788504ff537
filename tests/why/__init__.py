"""Tests of why workers were moved."""
