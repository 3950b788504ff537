"""Benchmarks: `make bench`, and programs to run by hand; never tests."""
