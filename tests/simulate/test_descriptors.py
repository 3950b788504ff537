"""Room for descriptors, with limits that a test sets."""

from __future__ import annotations

import resource

import pytest

from pacemaker.simulate.descriptors import SPARE_DESCRIPTORS, raise_limit_for

NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "connections", "room", "soft_after"),
    [
        ((1024, 4096), 100, 100, 1024),
        ((1024, 4096), 2000, 2000, 2000 + SPARE_DESCRIPTORS),
        ((1024, 4096), 15000, 4096 - SPARE_DESCRIPTORS, 4096),
        ((1024, NO_LIMIT), 15000, 15000, 15000 + SPARE_DESCRIPTORS),
        ((NO_LIMIT, NO_LIMIT), 15000, 15000, NO_LIMIT),
        ((10, 10), 5, 0, 10),
    ],
)
def test_room_is_made_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    connections: int,
    room: int,
    soft_after: int,
) -> None:
    """The soft limit is raised to what is needed, the hard one at most."""
    now = [limits]
    monkeypatch.setattr(resource, "getrlimit", lambda which: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, new: now.append(new))
    assert raise_limit_for(connections) == room
    assert now[-1] == (soft_after, limits[1])
