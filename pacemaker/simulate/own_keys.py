"""What is on the server before a run, and what must not be there after it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from pacemaker.client import PacemakerConnection, requests
from pacemaker.errors import ClientError
from pacemaker.simulate.shape import ROOT, topology_path

REMOVAL_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.1


def paths_of_others(connection: PacemakerConnection) -> list[str]:
    """Return what holds heartbeats on the server: directories of topologies, mostly.

    Raises:
        ClientError: the server does not say.
    """
    top = connection.request(requests.list_nodes("/"))
    others = [f"/{name}" for name in top if f"/{name}" != ROOT]
    topologies = connection.request(requests.list_nodes(ROOT))
    return sorted([*others, *map(topology_path, topologies)])


def remove(connection: PacemakerConnection, topology_ids: Collection[str]) -> str:
    """Remove a run's topologies, and look whether they are gone.

    A pulse that the server had not yet read when its connection was closed may
    be stored after a delete that came over another one, so it may take several.

    Returns:
        Why they are not gone; empty where they are.
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
            problem = "pulses on their way were stored again"
        time.sleep(_PAUSE_S)
    return problem
