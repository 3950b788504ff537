"""Benchmarks: programs to run by hand or by `make bench-...`, never tests."""
