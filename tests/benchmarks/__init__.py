"""Tests of the benchmarks: of what they work out, never of how fast anything is."""
