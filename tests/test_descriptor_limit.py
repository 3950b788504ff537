"""The limit of open descriptors, on a system whose limits a test sets."""

from __future__ import annotations

import resource
import sys

import pytest

from pacemaker.descriptor_limit import raise_descriptor_limit

NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "wanted", "soft_after", "returned"),
    [
        ((1024, 4096), None, 4096, 4096),
        ((1024, 4096), 100, 1024, 1024),
        ((1024, 4096), 2000, 2000, 2000),
        ((1024, 4096), 5000, 4096, 4096),
        ((1024, NO_LIMIT), 5000, 5000, 5000),
        ((1024, NO_LIMIT), None, NO_LIMIT, sys.maxsize),
        ((NO_LIMIT, NO_LIMIT), 5000, NO_LIMIT, sys.maxsize),
    ],
)
def test_soft_limit_is_raised_as_far_as_wanted_and_allowed(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    wanted: int | None,
    soft_after: int,
    returned: int,
) -> None:
    """It is never lowered, and the hard limit stays as it is."""
    now = [limits]
    monkeypatch.setattr(resource, "getrlimit", lambda which: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, new: now.append(new))
    assert raise_descriptor_limit(wanted) == returned
    assert now[-1] == (soft_after, limits[1])
