"""The verdicts in words."""

from __future__ import annotations

import json
import re

from pacemaker.why.evidence import WorkerFinding, WorkerVerdict
from pacemaker.why.facts import EVENTS_KEPT
from pacemaker.why.story import (
    MAX_FINDINGS_TOLD,
    MEANINGS,
    as_json,
    story_lines,
    when_text,
)
from pacemaker.why.verdicts import findings_of
from tests.why.cases import NOW_S, TOPOLOGY, WORKER, evidence, key, late, nodes, writer


def test_every_verdict_has_a_meaning() -> None:
    """No name is left to be guessed at."""
    assert set(MEANINGS) == set(WorkerVerdict)


def test_story_begins_with_the_verdict() -> None:
    """Then come times, reasons, what was before, and the last heartbeat."""
    judged = evidence(key(late(5_000.0, 20.0, 3_000), writer(5_100.0, 8.0, 1)), nodes())
    lines = list(story_lines(judged, WORKER, findings_of(judged, WORKER)))
    assert (
        lines[0]
        == f"node-a-6700 of {TOPOLOGY}: killed: {MEANINGS[WorkerVerdict.KILLED]}"
    )
    assert re.fullmatch(r" +[-\d]+ [:\d]+ to [-\d]+ [:\d]+, 8 s", lines[1])
    assert any(line.startswith("  before that: paused: ") for line in lines)
    assert lines[-1] == "  last heartbeat 1 s ago, at pm1, 10.0.0.1:4001"


def test_times_are_told_as_far_as_they_are_known() -> None:
    """From, to, both, or neither."""
    reasons = ("r",)
    for begin_s, end_s, pattern in (
        (None, None, ""),
        (None, NOW_S, r"until .+"),
        (NOW_S - 5, None, r"since .+, for 5 s"),
    ):
        finding = WorkerFinding(WorkerVerdict.PAUSED, begin_s, end_s, reasons)
        assert re.fullmatch(pattern, when_text(finding, NOW_S))


def test_programs_get_the_same() -> None:
    """Each finding with its times and reasons."""
    judged = evidence(key(writer(5_100.0, 8.0, 1)), nodes())
    shown = json.loads(json.dumps(as_json(WORKER, findings_of(judged, WORKER))))
    assert (shown["topology"], shown["worker"]) == WORKER
    assert shown["verdict"] == "killed"
    (finding,) = shown["findings"]
    assert (finding["from"], finding["to"]) == (5_092.0, 5_100.0)
    assert len(finding["reasons"]) == 2


def test_long_story_is_cut() -> None:
    """The newest are told in full, the others counted, and lost ones mentioned."""
    events = [late(5_000.0 + 30 * n, 9.0, 3_000) for n in range(EVENTS_KEPT)]
    judged = evidence(key(*events), nodes())
    lines = list(story_lines(judged, WORKER, findings_of(judged, WORKER)))
    assert sum(": paused: " in line for line in lines) == MAX_FINDINGS_TOLD
    counted = EVENTS_KEPT - MAX_FINDINGS_TOLD
    assert f"  before that: {counted} x paused (--json has them all)" in lines
    assert any("what was before is forgotten" in line for line in lines)
