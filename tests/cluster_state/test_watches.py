"""Tests of pacemaker.cluster_state.watches: no watch is lost, none is told twice."""

from __future__ import annotations

from typing import Any

import pytest

from pacemaker.cluster_state.events import EventType
from pacemaker.cluster_state.watches import (
    Armed,
    MaybeSeen,
    Seen,
    Watch,
    Watches,
    WatchKind,
    missed_event,
)

NODE, CHILDREN = WatchKind.NODE, WatchKind.CHILDREN
OLD, NEW, ANEW = Seen(1, 1), Seen(1, 2), Seen(3, 3)


class Client:
    """The watches of a client, which keeps what it is told of."""

    def __init__(self) -> None:
        self.told: list[tuple[EventType, str]] = []
        self.watches = Watches(self._hear)

    def _hear(self, watch: Watch, event: Any) -> None:
        if self.watches.take(watch, event):
            self.told.append((event, watch.path))

    def read(self, kind: WatchKind, path: str, seen: MaybeSeen = OLD) -> Armed:
        """Arm a watch and see the node, as a reader does."""
        armed = self.watches.arm(kind, path)
        assert self.watches.note_seen(armed, seen)
        return armed


@pytest.fixture
def client() -> Client:
    """Return a client without watches."""
    return Client()


def test_watch_is_told_once(client: Client) -> None:
    """An event takes the watch with it; the same again finds none."""
    watch = client.read(NODE, "/a").watch
    watch(EventType.DATA_CHANGED)
    watch(EventType.DATA_CHANGED)
    assert client.told == [(EventType.DATA_CHANGED, "/a")]
    assert len(client.watches) == 0


def test_node_has_one_watch_of_a_kind(client: Client) -> None:
    """However many readers, a node has one watch for itself, one for its children."""
    assert client.read(NODE, "/a").watch is client.read(NODE, "/a").watch
    assert client.read(CHILDREN, "/a").watch is not client.read(NODE, "/a").watch
    assert len(client.watches) == 2


def test_deletion_takes_both_watches(client: Client) -> None:
    """ZooKeeper tells both watches of a deletion; the first to hear is listened to."""
    node, children = client.read(NODE, "/a").watch, client.read(CHILDREN, "/a").watch
    children(EventType.DELETED)
    node(EventType.DELETED)
    assert client.told == [(EventType.DELETED, "/a")]


def test_change_of_children_leaves_the_node_watched(client: Client) -> None:
    """A new child takes the watch of the children, not that of the node."""
    node, children = client.read(NODE, "/a").watch, client.read(CHILDREN, "/a").watch
    children(EventType.CHILDREN_CHANGED)
    node(EventType.DATA_CHANGED)
    assert [kind for kind, _ in client.told] == [
        EventType.CHILDREN_CHANGED,
        EventType.DATA_CHANGED,
    ]


def test_event_before_the_answer_is_told_and_read_again(client: Client) -> None:
    """An event may come before the reader has looked; it reads again to watch on."""
    armed = client.watches.arm(NODE, "/a")
    armed.watch(EventType.DATA_CHANGED)
    assert client.told == [(EventType.DATA_CHANGED, "/a")]
    assert not client.watches.note_seen(armed, OLD)
    client.read(NODE, "/a", NEW)
    assert len(client.watches) == 1


def test_reader_of_a_lost_connection_reads_again(client: Client) -> None:
    """What was read on a connection that has ended is not watched any more."""
    armed = client.watches.arm(NODE, "/a")
    client.watches.connection_lost()
    assert not client.watches.note_seen(armed, OLD)
    assert client.watches.to_restore() == []
    assert len(client.watches) == 0


def test_failed_reader_leaves_no_watch(client: Client) -> None:
    """A node that could not be read is not watched, however often it is tried."""
    client.watches.disarm(client.watches.arm(CHILDREN, "/none"))
    assert len(client.watches) == 0


def test_failed_reader_leaves_the_others_their_watch(client: Client) -> None:
    """A reader that fails takes no other's watch, seen or still to be seen."""
    failing, other = (client.watches.arm(NODE, "/a") for _ in range(2))
    client.watches.disarm(failing)
    assert client.watches.note_seen(other, OLD)
    client.watches.disarm(client.watches.arm(NODE, "/a"))
    assert client.watches.to_restore() == [other.watch]


def test_restored_is_what_a_reader_has_seen(client: Client) -> None:
    """After a loss the watches that are seen are set again; others have readers."""
    seen = client.read(NODE, "/seen").watch
    client.watches.arm(NODE, "/unseen")
    client.watches.connection_lost()
    assert client.watches.to_restore() == [seen]


def test_first_sight_stays(client: Client) -> None:
    """A later reader does not hide a change that the first has not been told of."""
    client.read(NODE, "/a", OLD)
    watch = client.read(NODE, "/a", NEW).watch
    assert watch.seen == OLD
    assert "seen=Seen(created=1, changed=1)" in repr(watch)


@pytest.mark.parametrize(
    ("kind", "before", "now", "event"),
    [
        (NODE, OLD, OLD, None),
        (NODE, None, None, None),
        (NODE, OLD, NEW, EventType.DATA_CHANGED),
        (NODE, OLD, ANEW, EventType.DATA_CHANGED),
        (NODE, OLD, None, EventType.DELETED),
        (NODE, None, OLD, EventType.CREATED),
        (CHILDREN, OLD, OLD, None),
        (CHILDREN, OLD, NEW, EventType.CHILDREN_CHANGED),
        (CHILDREN, OLD, ANEW, EventType.CHILDREN_CHANGED),
        (CHILDREN, OLD, None, EventType.DELETED),
    ],
)
def test_missed_event(
    client: Client,
    kind: WatchKind,
    before: MaybeSeen,
    now: MaybeSeen,
    event: EventType | None,
) -> None:
    """What was missed follows from what is seen before and after."""
    assert missed_event(client.read(kind, "/a", before).watch, now) is event
