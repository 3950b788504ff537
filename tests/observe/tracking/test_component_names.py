"""Which component an executor belongs to, with ZooKeeper and without."""

from __future__ import annotations

import pytest

from pacemaker.heartbeats.model import ExecutorInfo, GlobalStreamId
from pacemaker.observe.decoding.executor_figures import Shape, shape_of
from pacemaker.observe.tracking.component_names import guessed_names, names_from_nodes
from tests.observe import made_up


def info(first: int, last: int | None = None) -> ExecutorInfo:
    """Return an executor."""
    return ExecutorInfo(first, first if last is None else last)


def bolt(streams: str = "", *sources: str) -> Shape:
    """Return the shape of a bolt; streams are separated by blanks."""
    pairs = [source.split("/") for source in sources]
    return Shape(
        False,
        frozenset(streams.split()),
        frozenset(GlobalStreamId(*pair) for pair in pairs),
    )


def spout(streams: str = "default __ack_init") -> Shape:
    """Return the shape of a spout."""
    return Shape(True, frozenset(streams.split()), frozenset())


def test_executors_are_handed_out_to_the_sorted_components() -> None:
    """Three tasks of a component may be in two executors, as Storm divides them."""
    counts = {"words": 1, "count": 2, "__acker": 1, "__system": 0}
    executors = [info(2, 3), info(4), info(1), info(5)]
    found = names_from_nodes(counts, executors)
    assert found is not None
    assert {each.task_start: name.name for each, name in found.items()} == {
        1: "__acker",
        2: "count",
        4: "count",
        5: "words",
    }
    assert not any(name.is_guess for name in found.values())


def test_names_sort_as_in_java() -> None:
    """Capitals come before small letters, and code units decide beyond ASCII."""
    counts = {"\uffee": 1, "\U0001f600": 1, "b": 1, "B": 1}
    found = names_from_nodes(counts, map(info, range(1, 5)))
    assert found is not None
    assert [found[info(n)].name for n in range(1, 5)] == [
        "B",
        "b",
        "\U0001f600",
        "\uffee",
    ]


def test_no_names_while_the_sums_differ() -> None:
    """During a rebalance the assignment has other executors than the topology."""
    assert names_from_nodes({"a": 2}, [info(1)]) is None


def test_storms_own_executor_counts_for_none() -> None:
    """The executor [-1,-1] of every worker belongs to no component."""
    assert names_from_nodes({"a": 1}, [info(-1), info(1)]) == {info(1): ("a", False)}


def test_guesses_match_sources_to_runs() -> None:
    """The acker names spout and acking bolts; the names are marked as guesses."""
    shapes = {
        each: shape_of(stats)
        for worker in (made_up.A, made_up.B)
        for each, stats in made_up.executors_of(worker).items()
    }
    found = guessed_names(shapes)
    assert [found[info(n)].name for n in range(1, 6)] == [
        "__acker",
        "count",
        "count",
        "split",
        "words",
    ]
    assert all(name.is_guess for name in found.values())


def test_what_is_counted_rarely_tells_no_executors_apart() -> None:
    """Of two executors of a bolt, one has shown a tick and a failed tuple so far."""
    quiet = bolt("default __ack_ack", "words/default")
    shapes = {
        info(1): bolt("__ack_ack", "words/__ack_init", "count/__ack_ack"),
        info(2): bolt(
            "__ack_ack", "words/__ack_init", "count/__ack_ack", "count/__ack_fail"
        ),
        info(3): quiet,
        info(4): bolt(
            "default __ack_ack __ack_fail", "words/default", "__system/__tick"
        ),
        info(5): quiet,
        info(6): spout(),
    }
    found = guessed_names(shapes)
    assert [found[info(n)].name for n in range(1, 7)] == [
        "__acker",
        "__acker",
        "count",
        "count",
        "count",
        "words",
    ]


@pytest.mark.parametrize("stream", ["__ack_fail", "__metrics", "__eventlog"])
def test_component_that_is_rarely_mentioned_takes_no_name_from_others(
    stream: str,
) -> None:
    """A name that only rare streams mention is left out, and the others are found."""
    shapes = {
        info(1): bolt("__ack_ack", "words/__ack_init", f"checks/{stream}"),
        info(2): bolt(stream, "words/default"),
        info(3): spout(),
    }
    found = guessed_names(shapes)
    assert [found[info(n)].name for n in (1, 2, 3)] == ["__acker", "bolt@2", "words"]


def test_what_nothing_mentions_has_no_name() -> None:
    """A sink that does not ack is called by its kind and its first task."""
    shapes = {info(1): bolt("", "words/default"), info(2): spout("default")}
    found = guessed_names(shapes)
    assert [found[info(n)].name for n in (1, 2)] == ["bolt@1", "words"]


def test_ambiguous_runs_have_no_name() -> None:
    """Where a name fits two runs, neither gets it."""
    shapes = {
        info(1): spout("default"),
        info(2): spout("default other"),
        info(3): bolt("", "words/default"),
    }
    found = guessed_names(shapes)
    assert [found[info(n)].name for n in (1, 2, 3)] == ["spout@1", "spout@2", "bolt@3"]


def test_contradictory_heartbeats_have_no_names() -> None:
    """Forged sources that fit no run name nothing; who reads __ack_init is an acker."""
    shapes = {info(1): bolt("", "a/__ack_init", "b/x"), info(2): bolt("", "c/y")}
    found = guessed_names(shapes)
    assert [found[info(n)].name for n in (1, 2)] == ["__acker", "bolt@2"]
