"""Heartbeats and other stored values for the commands to read."""

from __future__ import annotations

import time

from pacemaker.client import PacemakerConnection, ServerAddress, requests
from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    SpoutStats,
    WorkerHeartbeat,
)

TOPOLOGY = "words-1-1700000000"
BEAT = f"/workerbeats/{TOPOLOGY}/7a4e-6700"
DEAD = "127.0.0.1:1"

SPOUT = ExecutorStats(
    {":all-time": {"default": 30, "__ack": 4}, "600": {"default": 1}},
    {":all-time": {"default": 20}},
    SpoutStats({":all-time": {"default": 10}}, {}, {}),
    1.0,
)
BOLT = ExecutorStats({}, {}, BoltStats({}, {}, {}, {}, {}), 1.0)


def heartbeat(age_secs: int = 75) -> WorkerHeartbeat:
    """Return a heartbeat of a spout and a bolt."""
    executors = {ExecutorInfo(1, 1): SPOUT, ExecutorInfo(2, 4): BOLT}
    return WorkerHeartbeat(TOPOLOGY, int(time.time()) - age_secs, 3700, executors)


def store(server: ServerAddress, path: str, details: bytes = b"x") -> None:
    """Store a value."""
    with PacemakerConnection(server, timeout_s=30) as connection:
        connection.request(requests.send_pulse(path, details))
