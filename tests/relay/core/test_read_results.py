"""What a read returns for a set of answers."""

from __future__ import annotations

import pytest

from pacemaker.relay.core.read_results import (
    HOLD,
    MISS,
    ReadOutcome,
    ReadResult,
    combine_answers,
    combine_names,
    newest_heartbeat,
)

BOTH = frozenset((0, 1))
NONE: frozenset[int] = frozenset()


def time_of(value: bytes) -> int | None:
    """Return the number that a value consists of."""
    return int(value) if value.isdigit() else None


def hit(value: bytes) -> ReadResult:
    """Return the result of a hit."""
    return ReadResult(ReadOutcome.HIT, value, time_of(value))


CASES = [
    ({0: b"5", 1: b"7"}, BOTH, BOTH, None, False, hit(b"7")),
    ({0: b"5", 1: None}, BOTH, BOTH, None, False, hit(b"5")),
    ({0: None, 1: None}, BOTH, BOTH, None, False, MISS),
    ({0: None}, frozenset((1,)), BOTH, None, False, HOLD),
    ({0: None, 1: None}, frozenset((1,)), BOTH, None, False, MISS),
    ({}, BOTH, BOTH, None, False, HOLD),
    ({0: b"5"}, BOTH, BOTH, 5, False, hit(b"5")),
    ({0: b"5"}, BOTH, BOTH, 7, False, HOLD),
    ({0: b"5"}, BOTH, BOTH, 7, True, hit(b"5")),
    ({0: b"5", 1: b"4"}, BOTH, BOTH, 7, False, hit(b"5")),
    ({0: b"5", 1: None}, BOTH, BOTH, 7, False, hit(b"5")),
    ({0: b"5"}, NONE, NONE, 7, False, HOLD),
    ({0: b"x"}, BOTH, BOTH, 7, False, hit(b"x")),
    ({0: b"x", 1: b"3"}, BOTH, BOTH, None, False, hit(b"3")),
]


@pytest.mark.parametrize(
    ("answers", "complete", "may_know_newer", "last", "is_over", "result"), CASES
)
def test_answers_mean(
    answers: dict[int, bytes | None],
    complete: frozenset[int],
    may_know_newer: frozenset[int],
    last: int | None,
    is_over: bool,
    result: ReadResult,
) -> None:
    """Each set of answers has one result."""
    found = combine_answers(answers, complete, may_know_newer, last, is_over, time_of)
    assert found == result


def test_equal_bytes_are_read_once() -> None:
    """Equal values are decoded once, however many Pacemakers have them."""
    read: list[bytes] = []

    def noting(value: bytes) -> int:
        read.append(value)
        return 1

    assert newest_heartbeat([b"a", b"a", b"a"], noting) == (b"a", 1)
    assert read == [b"a"]


def test_names_are_joined_in_the_order_in_which_they_come() -> None:
    """Each name is returned once, in the order of arrival."""
    assert combine_names([["a", "b"], [], ["b", "c"]]) == ["a", "b", "c"]
