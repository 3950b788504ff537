"""Decoding heartbeats: the fast way gives what the checked reader gives."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import ValueDecodeError
from pacemaker.heartbeats import codec
from pacemaker.heartbeats.compression import Compression
from pacemaker.heartbeats.model import (
    BoltStats,
    ExecutorInfo,
    ExecutorStats,
    WorkerHeartbeat,
)
from pacemaker.observe.decoding.decoder import (
    MAX_ID_BYTES,
    MAX_TOPOLOGIES,
    HeartbeatDecoder,
    KnownHeartbeat,
)
from tests.heartbeats.strategies import heartbeats, large_heartbeat
from tests.observe import made_up

NUMBERS = st.integers(-(2**40), 2**40)


def changed(heartbeat: WorkerHeartbeat, number: int) -> WorkerHeartbeat:
    """Return the heartbeat with other numbers and the same keys."""

    def windows(of: Any) -> Any:
        return {
            window: {key: type(value)(number) for key, value in counts.items()}
            for window, counts in of.items()
        }

    def stats(of: ExecutorStats) -> ExecutorStats:
        fields = {
            field.name: windows(getattr(of.specific, field.name))
            for field in dataclasses.fields(of.specific)
        }
        return ExecutorStats(
            windows(of.emitted),
            windows(of.transferred),
            type(of.specific)(**fields),
            of.rate,
        )

    executors = {info: stats(each) for info, each in heartbeat.executors.items()}
    return dataclasses.replace(heartbeat, executors=executors)


@given(heartbeats, NUMBERS, st.sampled_from([32, 64]))
def test_fast_way_gives_what_the_checked_reader_gives(
    heartbeat: WorkerHeartbeat, number: int, time_bits: Any
) -> None:
    """Whatever the numbers are, the second beat of a layout is the same either way."""
    first, second = (
        codec.encode(each, Compression.NONE, time_bits=time_bits)
        for each in (heartbeat, changed(heartbeat, number))
    )
    decoder = HeartbeatDecoder()
    _, known = decoder.decode(first, None)
    fast, _ = decoder.decode(second, known)
    slow, _ = HeartbeatDecoder().decode(second, None)
    assert fast == slow
    # An empty heartbeat has only known layouts, so even the first one is read fast.
    assert decoder.fast >= (known is not None)
    assert decoder.fast + decoder.slow == 2


def test_storms_own_layout_is_read_fast() -> None:
    """A worker's second beat needs no checked reader, and its third neither."""
    decoder = HeartbeatDecoder()
    known: KnownHeartbeat | None = None
    for factor in (1, 2, 3):
        details = made_up.value(made_up.executors_of(made_up.A, factor))
        beat, known = decoder.decode(details, known)
        assert beat.figures[0] == 0  # of the acker, whose streams are Storm's own
    assert (decoder.slow, decoder.fast) == (1, 2)


def test_a_new_key_is_read_by_the_checked_reader() -> None:
    """A beat with another stream is read the slow way, and the next one fast again."""
    decoder = HeartbeatDecoder()
    one = {made_up.SPLIT: made_up.bolt()}
    two = {made_up.SPLIT: made_up.bolt(streams={"default": 7})}
    _, known = decoder.decode(made_up.value(one), None)
    beat, known = decoder.decode(made_up.value(two), known)
    assert beat.figures[0] == 7
    decoder.decode(made_up.value(two), known)
    assert (decoder.slow, decoder.fast) == (2, 1)


def test_executors_of_a_component_share_a_layout() -> None:
    """Fifty executors of one bolt leave one layout behind."""
    decoder = HeartbeatDecoder()
    _, known = decoder.decode(codec.encode(large_heartbeat(50, 3)), None)
    assert known is not None
    assert len(set(map(id, known.layouts))) == 1


def test_another_worker_needs_no_checked_reader() -> None:
    """Layouts of the topology's other workers are tried first; wrong ones are not."""
    decoder = HeartbeatDecoder()
    decoder.decode(made_up.value({made_up.COUNT_1: made_up.bolt()}), None)
    other = made_up.value({made_up.COUNT_2: made_up.bolt(executed=40)})
    fast, known = decoder.decode(other, None)
    slow, _ = HeartbeatDecoder().decode(other, None)
    assert fast == slow
    assert known is not None
    assert (decoder.slow, decoder.fast) == (1, 1)
    decoder.decode(made_up.value({made_up.SPOUT: made_up.spout()}), None)
    assert decoder.slow == 2


@pytest.mark.parametrize("executors", [0, 1])
def test_forged_ids_leave_little_behind(executors: int) -> None:
    """A heartbeat may name any topology, in up to 16 MiB that compress well."""
    decoder = HeartbeatDecoder()
    stats = dict([(made_up.COUNT_1, made_up.bolt())][:executors])
    for number in range(MAX_TOPOLOGIES + 100):
        name = f"{number}-" + "x" * (MAX_ID_BYTES if number < 10 else 10)
        decoder.decode(codec.encode(WorkerHeartbeat(name, made_up.NOW, 7, stats)), None)
    assert len(decoder._tried) <= MAX_TOPOLOGIES
    assert sum(map(len, decoder._tried)) < 20 * MAX_TOPOLOGIES


def test_storms_system_executor_is_left_out() -> None:
    """Every worker has the executor [-1,-1]; it counts nothing."""
    system = {ExecutorInfo(-1, -1): made_up.bolt(), made_up.SPLIT: made_up.bolt()}
    decoder = HeartbeatDecoder()
    slow, known = decoder.decode(made_up.value(system), None)
    fast, _ = decoder.decode(made_up.value(system), known)
    assert slow == fast
    assert slow.infos == (made_up.SPLIT,)
    assert (decoder.slow, decoder.fast) == (1, 1)


@pytest.mark.parametrize("wrong", [-20, math.nan, math.inf])
def test_impossible_numbers_count_as_zero(wrong: float) -> None:
    """Negative counts and NaN, which old releases write, are 0 either way."""
    good = made_up.bolt()
    assert isinstance(good.specific, BoltStats)
    key = next(iter(good.specific.executed["600"]))
    averages = {**good.specific.execute_ms_avg, "600": {key: float(wrong)}}
    specific = dataclasses.replace(good.specific, execute_ms_avg=averages)
    bad = dataclasses.replace(good, specific=specific)
    decoder = HeartbeatDecoder()
    _, known = decoder.decode(made_up.value({made_up.SPLIT: good}), None)
    fast, _ = decoder.decode(made_up.value({made_up.SPLIT: bad}), known)
    slow, _ = HeartbeatDecoder().decode(made_up.value({made_up.SPLIT: bad}), None)
    assert fast == slow
    assert fast.figures[5] == 0.0
    assert decoder.fast == 1


@given(st.binary(max_size=200))
def test_garbage_raises_the_documented_error(garbage: bytes) -> None:
    """What is no heartbeat raises `ValueDecodeError`, with and without a known one."""
    decoder = HeartbeatDecoder()
    _, known = decoder.decode(made_up.value({made_up.SPLIT: made_up.bolt()}), None)
    for remembered in (None, known):
        with pytest.raises(ValueDecodeError):
            decoder.decode(garbage, remembered)


@given(st.data())
def test_any_changed_byte_is_judged_by_the_checked_reader(data: st.DataObject) -> None:
    """One changed byte gives what the checked reader says, or its error."""
    heartbeat = WorkerHeartbeat("t-1-1", 5, 5, made_up.executors_of(made_up.B))
    plain = codec.encode(heartbeat, Compression.NONE)
    place = data.draw(st.integers(0, len(plain) - 1))
    hostile = plain[:place] + data.draw(st.binary(min_size=1, max_size=1))
    hostile += plain[place + 1 :]
    decoder = HeartbeatDecoder()
    _, known = decoder.decode(plain, None)
    try:
        slow, _ = HeartbeatDecoder().decode(hostile, None)
    except ValueDecodeError:
        for remembered in (known, None):
            with pytest.raises(ValueDecodeError):
                decoder.decode(hostile, remembered)
    else:
        for remembered in (known, None):
            assert decoder.decode(hostile, remembered)[0] == slow
