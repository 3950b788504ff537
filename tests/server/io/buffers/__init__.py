"""Tests of the budget of the bytes that connections hold."""
