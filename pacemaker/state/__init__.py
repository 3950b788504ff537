"""The state of a Storm cluster: heartbeats in Pacemaker, all else in ZooKeeper.

This module imports nothing, so that importing only the values
(`pacemaker.state.values`) does not load a ZooKeeper client.
"""
