"""Convert workers' heartbeats between Storm's bytes and `WorkerHeartbeat`.

The client and its users need this.  The server stores heartbeats without decoding them;
for its history it looks at a few numbers (`peek`).
"""
