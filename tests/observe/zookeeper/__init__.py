"""Tests of `pacemaker.observe.zookeeper`."""
