"""The keys of Storm's heartbeats: ``/workerbeats/TOPOLOGY-ID/WORKER``.

The name of a worker is the id of its supervisor, a dash and its port.  Anyone can store
other keys, which belong to no worker.
"""

from __future__ import annotations

from typing import Final

# The directory of all heartbeats (ClusterUtils.WORKERBEATS_SUBTREE).
ROOT: Final = "/workerbeats"


def topology_path(topology_id: str) -> str:
    """Return the directory of a topology's heartbeats."""
    return f"{ROOT}/{topology_id}"


def key_of(topology_id: str, worker: str) -> str:
    """Return the key of a worker's heartbeat."""
    return f"{ROOT}/{topology_id}/{worker}"


def split_key(key: str) -> tuple[str, str] | None:
    """Return the topology's id and the worker's name; None for any other key."""
    topology_id, _, worker = key.removeprefix(f"{ROOT}/").partition("/")
    if not key.startswith(f"{ROOT}/") or not worker:
        return None
    return topology_id, worker
