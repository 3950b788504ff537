"""The state of a Storm cluster: heartbeats in Pacemaker, all else in ZooKeeper.

Nothing is imported here, so that a program that needs only the types
(`pacemaker.cluster_state.acls`, `events`) does not load a ZooKeeper client.
"""
