"""Tests of writing the page of the history; tests/why/test_facts.py reads it."""

from __future__ import annotations

import json

import pytest

from pacemaker.core.history.history import History
from pacemaker.core.history.record import PeerRecord
from pacemaker.core.store.store import Store
from pacemaker.server.history_page import write_history
from tests.why.test_facts import KEY, TOPOLOGY, eventful, page


@pytest.mark.parametrize(
    ("topology", "found"),
    [("", 2), (TOPOLOGY, 1), ("words", 1), ("word", 0), ("words-1", 0)],
)
def test_page_of_one_topology(topology: str, found: int) -> None:
    """The page can be limited to a topology by its id or its name."""
    assert len(json.loads(page(eventful(), topology))["keys"]) == found


def test_page_comes_in_slices() -> None:
    """Each slice is short, however many keys there are."""
    history = History(10**9)
    for number in range(1_000):
        history.note_pulse(f"{KEY}{number}", PeerRecord("p"), 100.0, b"")
    slices = list(write_history(history, Store().get, 1.0, 1.0, ""))
    assert max(map(len, slices)) < 20_000
    assert len(json.loads(b"".join(slices))["keys"]) == 1_000


def test_head_says_whether_keys_may_be_missing() -> None:
    """The history is full only for some time after it had no room for a key."""
    history = History(1)
    history.note_pulse(KEY, PeerRecord("p"), 100.0, b"")
    assert json.loads(page(history, now_s=130.0))["is_full"] is True
    assert json.loads(page(history, now_s=1_000.0))["is_full"] is False
