"""Check the server's keys before a run, and remove the run's own after it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from pacemaker.client import PacemakerConnection, requests
from pacemaker.errors import ClientError
from pacemaker.heartbeats.keys import ROOT, topology_path

REMOVAL_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.1


def paths_of_others(connection: PacemakerConnection) -> list[str]:
    """Return the paths that hold heartbeats: mostly directories of topologies.

    Raises:
        ClientError: the server does not answer, or refuses.
    """
    top = connection.request(requests.list_nodes("/"))
    others = [f"/{name}" for name in top if f"/{name}" != ROOT]
    topologies = connection.request(requests.list_nodes(ROOT))
    return sorted([*others, *map(topology_path, topologies)])


def remove(connection: PacemakerConnection, topology_ids: Collection[str]) -> str:
    """Remove a run's topologies, and check that they are gone.

    If the server had not read a pulse when its connection was closed, it may store it
    after a delete on another connection.  So several deletes may be needed.

    Returns:
        Why they are not gone; empty if they are.
    """
    until_s = time.monotonic() + REMOVAL_TIMEOUT_S
    problem = ""
    while time.monotonic() < until_s:
        try:
            for topology_id in topology_ids:
                path = topology_path(topology_id)
                connection.request(requests.delete_path(path))
            left = set(connection.request(requests.list_nodes(ROOT)))
        except ClientError as exc:
            problem = str(exc)
        else:
            if left.isdisjoint(topology_ids):
                return ""
            problem = "pulses in flight were stored after the delete"
        time.sleep(_PAUSE_S)
    return problem
