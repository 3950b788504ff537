"""The state of a Storm cluster: heartbeats in Pacemaker, all else in ZooKeeper.

Nothing is imported here, so that who wants the values alone
(`pacemaker.heartbeats.codec`) does not load a ZooKeeper client.
"""
