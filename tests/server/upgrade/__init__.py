"""Tests of the upgrade in place, part by part."""
