"""Workers' heartbeats: Storm's bytes to a `WorkerHeartbeat` and back.

The client and its users need this.  The server stores heartbeats without reading them.
"""
