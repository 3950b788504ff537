"""Tests of the benchmarks' results; none of them tests how fast anything is."""
