"""The state of a Storm cluster: heartbeats in Pacemaker, all else in ZooKeeper.

Nothing is imported here, so that who wants the types alone
(`pacemaker.cluster_state.acls`, `events`) does not load a ZooKeeper client.
"""
