"""Gaps that several workers share."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

import pytest

from pacemaker.why.evidence import Evidence, WorkerVerdict, node_of
from pacemaker.why.facts import HistoryEvent, KeyFacts, Span, WorkerId
from pacemaker.why.gaps import Gap
from pacemaker.why.outages import shared_outage
from pacemaker.why.verdicts import findings_of
from tests.why.cases import (
    AT_S,
    NOW_S,
    daemon,
    deleted,
    evidence,
    first,
    key,
    moved,
    nodes,
    said,
    writer,
)

Verdict: TypeAlias = tuple[WorkerVerdict, str] | None


def others(*silent: str, well: tuple[str, ...] = ()) -> dict[str, KeyFacts]:
    """Return other workers, by whether they were silent too."""
    found = {name: key(writer(AT_S, 20.0, 3_000), peer=name) for name in silent}
    return found | {name: key(peer=name) for name in well}


def test_whole_host() -> None:
    """All of its workers were silent at once, and no others."""
    known = others("node_a_6701", well=("node_b_6700", "node_c_6700"))
    finding = first(evidence(key(writer(AT_S, 20.0, 3_000)), nodes(), **known))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST
    assert "all 2 workers of its host" in said(finding)


def test_lone_worker_of_a_host_that_is_cut_off() -> None:
    """Its connection never ended, and its supervisor's session is over."""
    facts = key(last_s=NOW_S - 60)
    finding = first(evidence(facts, nodes(supervisors=("node-b",))))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST


def test_everything_at_once() -> None:
    """Nearly all workers of several hosts: not the fault of any of them."""
    known = others("node_b_6700", "node_c_6700")
    finding = first(evidence(key(writer(AT_S, 20.0, 3_000)), nodes(), **known))
    assert finding.verdict is WorkerVerdict.SHARED_OUTAGE


def test_workers_that_are_stopped_together_are_not_everything() -> None:
    """A rebalance: each of them deletes its key."""
    known = {
        f"node_{host}_6700": key(
            deleted(AT_S - 18), writer(AT_S, 20.0, 1, "fin"), peer=host
        )
        for host in "bc"
    }
    facts = key(deleted(AT_S - 18), writer(AT_S, 20.0, 1, "fin"))
    finding = first(evidence(facts, nodes(assigned_s=int(AT_S) - 20), **known))
    assert finding.verdict is WorkerVerdict.STOPPED


@pytest.mark.parametrize(
    ("uptime_s", "told"),
    [(3, "a new process took its place"), (3_000, "its process survived")],
)
def test_reboot_and_lost_network_of_a_host_differ(uptime_s: int, told: str) -> None:
    """The uptime afterwards tells which it was."""
    known = others("node_a_6701", well=("node_b_6700", "node_c_6700"))
    finding = first(evidence(key(writer(AT_S, 20.0, uptime_s)), nodes(), **known))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST
    assert finding.reasons[-1] == told


def test_host_that_is_away_and_then_loses_its_workers() -> None:
    """The cause comes first, then what Nimbus did about it."""
    known = {"node_a_6701": key(last_s=NOW_S - 400, peer="x")}
    known |= others(well=("node_b_6700", "node_c_6700"))
    finding = first(evidence(key(last_s=NOW_S - 400), moved(at_s=NOW_S - 360), **known))
    assert finding.verdict is WorkerVerdict.WHOLE_HOST
    assert finding.reasons[-1].endswith("40 s after its last heartbeat")


def was_alive(judged: Evidence, worker: WorkerId, span: Span) -> bool:
    """Return whether a worker wrote shortly before a time."""
    return any(
        each.first_s <= span.begin_s + each.late_s
        and each.last_s >= span.begin_s - each.late_s
        for each in judged.firsthand_facts(worker)
    )


def was_silent(judged: Evidence, worker: WorkerId, span: Span) -> bool:
    """Return whether a worker was silent for most of a time, and did not shut down."""
    for gap in judged.gaps(worker):
        common_s = min(gap.span.end_s, span.end_s) - max(gap.span.begin_s, span.begin_s)
        if common_s > 0.5 * span.duration_s:
            return not judged.deletes_in(worker, gap)
    return False


class Counts(NamedTuple):
    """How many were alive and silent: everywhere, and on the worker's host."""

    alive: int
    silent: int
    hosts: int
    here: int
    silent_here: int


def by_looking_at_each(judged: Evidence, worker: WorkerId, span: Span) -> Counts:
    """Count the workers one by one."""
    alive = [each for each in judged.workers if was_alive(judged, each, span)]
    silent = [each for each in alive if was_silent(judged, each, span)]
    nodes_alive = [node_of(each.name) for each in alive]
    nodes_silent = [node_of(each.name) for each in silent]
    node = node_of(worker.name)
    return Counts(
        len(alive),
        len(silent),
        len(set(nodes_alive)),
        nodes_alive.count(node),
        nodes_silent.count(node),
    )


def by_index(judged: Evidence, worker: WorkerId, span: Span) -> Counts:
    """Count them as `shared_outage` does."""
    host = judged.host(node_of(worker.name))
    return Counts(
        judged.everyone.alive(span.begin_s),
        judged.everyone.silent(span),
        judged.hosts.count(span.begin_s),
        host.alive(span.begin_s),
        host.silent(span),
    )


def by_counts(counts: Counts) -> Verdict:
    """Return the verdict that follows from the counts, and its reason."""
    alive, silent, hosts, here, silent_here = counts
    if hosts > 1 and silent >= max(3, 0.8 * alive):
        return (
            WorkerVerdict.SHARED_OUTAGE,
            f"{silent} of {alive} workers on {hosts} hosts were silent at the same"
            " time",
        )
    if silent_here >= 2 and silent_here == here < alive:
        return (
            WorkerVerdict.WHOLE_HOST,
            f"all {here} workers of its host were silent at the same time;"
            f" elsewhere {silent - here} of {alive - here} were",
        )
    return None


# All times of random evidence are multiples of this, so that no sum is rounded.
STEP_S = 0.5
# In random evidence, everybody may be silent at these times.
INCIDENTS_S = (3_000.0, 5_000.0, NOW_S - 30.0)


def random_times(
    choose: random.Random, first_s: float, last_s: float, chance: float
) -> list[float]:
    """Return the beginnings and the ends of gaps in turn, in order."""
    moments = set()
    for incident_s in INCIDENTS_S:
        if choose.random() < chance:
            begin_s = incident_s + STEP_S * choose.randrange(12)
            moments |= {begin_s, begin_s + STEP_S * choose.choice((30, 40, 90, 120))}
    if choose.random() < 0.3:
        moments |= {STEP_S * choose.randrange(4_000, 20_000) for _ in range(4)}
    kept = sorted(each for each in moments if first_s < each < last_s)
    return kept[: len(kept) // 2 * 2]


def random_events(
    choose: random.Random, first_s: float, last_s: float, chance: float
) -> Iterator[HistoryEvent]:
    """Yield the events that end gaps, some of them after a delete."""
    times_s = random_times(choose, first_s, last_s, chance)
    for begin_s, end_s in zip(times_s[::2], times_s[1::2], strict=True):
        if choose.random() < 0.1:
            yield deleted(begin_s + STEP_S)
        yield writer(end_s, end_s - begin_s, choose.choice((None, 1, 4_000)))


def random_key(choose: random.Random, chance: float) -> KeyFacts:
    """Return what a daemon remembers of a worker that may have come late, or died.

    Args:
        choose: chooses.
        chance: that the worker was silent in an incident.
    """
    first_s = choose.choice((2_000.0, 2_000.0, 2_000.0, 3_010.0, 4_900.0, 5_003.0))
    last_s = choose.choice((NOW_S - 1, NOW_S - 1, NOW_S - 30, 5_020.0, 5_003.0))
    events = random_events(choose, first_s, last_s, chance)
    return key(*events, first_s=first_s, last_s=last_s)


def random_evidence(seed: int) -> Evidence:
    """Return what one to three daemons remember, of which the third is a relay."""
    choose = random.Random(seed)  # noqa: S311  (no secret)
    chances = [choose.choice((0.2, 1.0, 1.0) if seed % 2 else (1.0,)) for _ in range(7)]
    workers = choose.choice((2, 5, 20, 90))
    return Evidence(
        [
            daemon(
                {
                    WorkerId(f"t-{each % 3}-1", f"node-{each % 7}-{6700 + each}"): (
                        random_key(choose, chances[each % 7])
                    )
                    for each in range(workers)
                    if number == 0 or choose.random() < 0.3
                },
                name=f"pm{number}",
                is_relay=number == 2,
            )
            for number in range(1 + seed % 3)
        ]
    )


@pytest.mark.parametrize("seed", range(40))
def test_counts_are_those_of_a_look_at_each_worker(seed: int) -> None:
    """Whoever was alive or silent, and at whichever daemon."""
    judged = random_evidence(seed)
    for worker, gap in all_gaps(judged):
        counts = by_looking_at_each(judged, worker, gap.span)
        assert by_index(judged, worker, gap.span) == counts
        cause = shared_outage(judged, worker, gap)
        told = None if cause is None else (cause.verdict, cause.reasons[0])
        assert told == by_counts(counts)


def all_gaps(judged: Evidence) -> Iterator[tuple[WorkerId, Gap]]:
    """Yield each gap of each worker."""
    for worker in judged.workers:
        for gap in judged.gaps(worker):
            yield worker, gap


def test_random_evidence_has_all_verdicts() -> None:
    """Otherwise the comparison would say little."""
    found = Counter(
        None if cause is None else cause.verdict
        for judged in map(random_evidence, range(40))
        for cause in (shared_outage(judged, *each) for each in all_gaps(judged))
    )
    assert set(found) == {
        None,
        WorkerVerdict.SHARED_OUTAGE,
        WorkerVerdict.WHOLE_HOST,
    }
    assert min(found.values()) > 20


class CountedKeys(Mapping[WorkerId, KeyFacts]):
    """What a daemon remembers; counts how often a worker is looked up or listed."""

    def __init__(self, keys: dict[WorkerId, KeyFacts]) -> None:
        self._keys = keys
        self.asked = 0

    def __getitem__(self, worker: WorkerId) -> KeyFacts:
        """Count a look-up; `in` and `items` make them, too."""
        self.asked += 1
        return self._keys[worker]

    def __iter__(self) -> Iterator[WorkerId]:
        """Count the workers that are listed."""
        self.asked += len(self._keys)
        return iter(self._keys)

    def __len__(self) -> int:
        """Count nothing."""
        return len(self._keys)


def test_workers_are_looked_at_once_and_not_for_each_gap() -> None:
    """Otherwise a topology of 1,000 workers in a large cluster would take minutes."""
    keys = CountedKeys(
        {
            WorkerId("t-1-1", f"node-{each % 7}-{6700 + each}"): key(
                writer(AT_S + each % 5, 20.0, 3_000), peer=f"p{each}"
            )
            for each in range(300)
        }
    )
    judged = Evidence([daemon(keys)])
    for worker in judged.workers:
        assert findings_of(judged, worker)[0].verdict is WorkerVerdict.SHARED_OUTAGE
    assert keys.asked <= 5 * len(keys)
