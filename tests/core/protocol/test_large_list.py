"""Lists of large directories, slice by slice, against the general writer."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacemaker.core.protocol.large_list import (
    LARGE_LIST_NAMES,
    NAMES_PER_STEP,
    LargeList,
)
from pacemaker.core.store.store import Store
from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Nodes, quoted
from tests.wire.by_hand import Type

LIMIT = 10_485_760


def encoded(names: list[str], message_id: int = 7) -> bytes:
    """Write a list as the general writer does."""
    kind = Type.GET_ALL_NODES_FOR_PATH_RESPONSE
    return messages.encode(Message(kind, Nodes(names), message_id))


def names_in(frame: bytes) -> list[str]:
    """Read a list with the general reader, which checks every length."""
    message = messages.decode(frame[4:], max_values=10**6)
    assert isinstance(message.data, Nodes)
    assert message.data.pulse_ids is not None
    assert len(frame) == 4 + int.from_bytes(frame[:4], "big")
    return message.data.pulse_ids


def large_list(*slices: list[str], max_body_bytes: int = LIMIT) -> LargeList:
    """Make the list of some names."""
    count = sum(map(len, slices))
    return LargeList("/w\n", iter(slices), count, 7, max_body_bytes)


def run(made: LargeList) -> tuple[bytes, int]:
    """Take all steps; return the frame and the number of steps."""
    steps = 1
    while (chunks := made.step()) is None:
        steps += 1
    return b"".join(chunks), steps


texts = st.text(st.characters(codec="utf-8"), max_size=8)


@pytest.mark.slow
@given(st.lists(st.lists(texts, max_size=5), max_size=5))
def test_frame_is_that_of_the_general_writer(slices: list[list[str]]) -> None:
    """However the names are sliced, the bytes are those of a single message."""
    frame, _ = run(large_list(*map(list, slices)))
    assert sorted(names_in(frame)) == sorted(name for part in slices for name in part)
    assert frame == encoded(names_in(frame))


def test_step_writes_a_thousand_names_at_most() -> None:
    """Other connections are served between the steps."""
    names = [str(number) for number in range(5 * NAMES_PER_STEP)]
    made = large_list(names)
    for step in range(1, 6):
        assert made.step() is None
        assert f"given={step * NAMES_PER_STEP} " in repr(made)
        assert made.size_bytes > step * NAMES_PER_STEP
    chunks = made.step()
    assert chunks is not None
    assert len(names_in(b"".join(chunks))) == 5 * NAMES_PER_STEP


def test_step_goes_through_many_small_slices() -> None:
    """A step for each would be a turn for each, which takes longer than its names."""
    names = [str(number) for number in range(NAMES_PER_STEP)]
    slices: list[list[str]] = [[name] for name in names]
    made = large_list(*slices, [])
    assert made.step() is None
    assert f"given={NAMES_PER_STEP} " in repr(made)
    assert made.step() is not None


@given(
    st.lists(st.sampled_from(["a", "bb", "é" * 9, "c" * 60, "d" * 4000]), max_size=60),
    st.integers(60, 600),
)
@example(["é" * 20], 60)
def test_list_is_cut_where_no_client_would_take_it(
    names: list[str], max_body_bytes: int
) -> None:
    """The list stays within the limit, and includes every name that fits."""
    frame, _ = run(large_list(list(names), max_body_bytes=max_body_bytes))
    given_names = names_in(frame)
    assert len(frame) <= 4 + max_body_bytes
    left_out = list(names)
    for name in given_names:
        left_out.remove(name)
    room_bytes = 4 + max_body_bytes - len(frame)
    assert all(4 + len(name.encode()) > room_bytes for name in left_out)
    assert frame == encoded(given_names)


def test_cut_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the directory, and how many of its names are listed."""
    run(large_list(["x" * 100] * 50, max_body_bytes=1_000))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "list of '/w\\n' cut to 9 of 50 names: no client takes more than 1000 bytes"
        " (pacemaker.thrift.message.size.max)"
    )


def test_list_that_fits_is_told_of_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """A list that fills the limit to the last byte is complete."""
    frame = encoded(["a", "bb"])
    assert len(run(large_list(["a", "bb"], max_body_bytes=len(frame) - 4))[0]) == len(
        frame
    )
    assert not caplog.records


def test_long_path_is_shortened_in_the_log() -> None:
    """A long path cannot fill the log."""
    assert quoted("/a\x1b" * 5_000_000).endswith("... (15000000 characters)")
    assert len(quoted("/a\x1b" * 5_000_000)) < 1_500


def test_names_that_might_come_twice_take_memory() -> None:
    """If keys have empty segments, a list remembers the names that it has given."""
    for odd, has_memory in (("/w/x", False), ("/w//x", True)):
        store = Store()
        for number in range(2 * LARGE_LIST_NAMES):
            store.put(f"/w/{number}", b"")
        store.put(odd, b"")
        seen: set[str] = set()
        slices = store.name_slices("/w", seen)
        made = LargeList("/w", slices, store.count_names("/w"), 7, LIMIT, seen)
        assert made.step() is None
        more_bytes = made.memory_bytes - made.size_bytes
        assert (more_bytes > 32 * LARGE_LIST_NAMES) == has_memory


def changing(store: Store) -> Iterator[bytes]:
    """List a large directory while names are added and removed."""
    slices = store.name_slices("/w", set())
    made = LargeList("/w", slices, store.count_names("/w"), 7, LIMIT)
    number = 0
    while (chunks := made.step()) is None:
        store.put(f"/w/new-{number}", b"")
        store.delete(f"/w/odd-{number}")
        number += 1
        yield b""
    yield b"".join(chunks)


def test_names_that_stay_are_listed_whatever_comes_and_goes() -> None:
    """A name that exists while the list is written is listed exactly once."""
    store = Store()
    for number in range(20 * LARGE_LIST_NAMES):
        store.put(f"/w/{number}", b"")
    for number in range(50):
        store.put(f"/w/odd-{number}", b"")
    *_, frame = changing(store)
    names = names_in(frame)
    assert len(names) == len(set(names))
    assert {str(number) for number in range(20 * LARGE_LIST_NAMES)} <= set(names)
