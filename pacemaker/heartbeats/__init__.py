"""Workers' heartbeats: Storm's bytes to a `WorkerHeartbeat` and back.

For the client and the cluster state; the server stores the bytes unread.
"""
