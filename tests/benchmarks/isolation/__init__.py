"""Tests of benchmarks.isolation."""
