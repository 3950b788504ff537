"""Tests of the fakes that users get."""
