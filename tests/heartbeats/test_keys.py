"""The keys of Storm's heartbeats."""

from __future__ import annotations

import pytest

from pacemaker.heartbeats.keys import key_of, split_key, topology_path


def test_key_is_split_into_what_it_was_made_of() -> None:
    """A key names its topology and its worker."""
    key = key_of("words-1-1700000000", "7a4e-6700")
    assert key == "/workerbeats/words-1-1700000000/7a4e-6700"
    assert split_key(key) == ("words-1-1700000000", "7a4e-6700")


def test_key_of_a_worker_is_below_the_path_of_its_topology() -> None:
    """A delete of the path removes the key."""
    assert key_of("t", "w-1").startswith(f"{topology_path('t')}/")


OTHER_KEYS = (
    *("", "/", "/workerbeats", "/workerbeats/", "/workerbeats/t", "/workerbeats/t/"),
    *("workerbeats/t/w", "/other/t/w", "/workerbeatst/w"),
)


@pytest.mark.parametrize("key", OTHER_KEYS)
def test_key_of_another_form_belongs_to_no_worker(key: str) -> None:
    """Anyone can store it."""
    assert split_key(key) is None
