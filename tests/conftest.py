"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Tests block a signal and send it to their own process.  Threads that numpy (behind
# the plots) starts when it is imported do not block it, and the process ends by it.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# A machine that is busy with Java beside the tests makes single examples slow
# now and then; and a failure must be repeatable from what it prints.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests against real parts last: what fails fast is seen first."""
    items.sort(key=lambda item: item.get_closest_marker("real") is not None)
