"""The state of a Storm cluster: heartbeats in Pacemaker, all else in ZooKeeper.

Nothing is imported here, so that who wants the values alone
(`pacemaker.state.values`) does not load a ZooKeeper client.
"""
