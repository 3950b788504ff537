"""What can be wrong with a worker that is not silent; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacemaker.why.case import SLACK_S, Case, Finding, Verdict, Worker, newest, node_of
from pacemaker.why.facts import KeyFacts

# So many changes of the writer in this time, while the connection of the one before is
# open, are two writers.
_FLAPS: Final = 4
_FLAPPING_S: Final = 60.0
# What Storm waits for a heartbeat (nimbus.task.timeout.secs), and how long a worker may
# load (nimbus.task.launch.secs).
TASK_TIMEOUT_S: Final = 30.0
LAUNCH_S: Final = 120


def signs(case: Case, worker: Worker) -> Iterator[Finding]:
    """Yield what is wrong with a worker besides its gaps."""
    for each in case.facts(worker):
        yield from _two_writers(each)
    yield from _restart_of_the_daemon(case, worker)
    yield from _not_read(case, worker)
    yield from _present(case, worker)


def _two_writers(facts: KeyFacts) -> Iterator[Finding]:
    """Yield a finding if two processes write one key in turn."""
    changes = [
        event
        for event in facts.events
        if event.kind == "writer" and event.end == "open"
    ]
    for first, last in zip(changes, changes[_FLAPS - 1 :], strict=False):
        if last.at_s - first.at_s < _FLAPPING_S:
            peers = sorted({event.peer for event in changes})
            yield Finding(
                Verdict.TWO_WRITERS,
                first.at_s,
                changes[-1].at_s,
                (
                    f"{' and '.join(peers[:3])} write the same key in turn: two"
                    " supervisors have one id, as with a copied storm.local.dir",
                ),
            )
            return


def _restart_of_the_daemon(case: Case, worker: Worker) -> Iterator[Finding]:
    """Yield a finding if a worker is older than all that is remembered."""
    facts = case.facts(worker)
    first = min(facts, key=lambda each: each.first_s)
    began_s = min(each.began_s for each in case.daemons)
    last = newest(facts)
    if last.uptime_s is None:
        return
    started_s = last.last_s - last.uptime_s
    if started_s < began_s - SLACK_S and first.first_s - began_s < TASK_TIMEOUT_S:
        yield Finding(
            Verdict.EVERYTHING,
            None,
            first.first_s,
            (
                f"{first.daemon} was started again, and remembers nothing before; the"
                " worker is older and went on",
            ),
        )


def _not_read(case: Case, worker: Worker) -> Iterator[Finding]:
    """Yield a finding if Nimbus did not read."""
    first_s = min(each.first_s for each in case.facts(worker))
    for daemon in case.daemons:
        for gap in daemon.read_gaps:
            if gap.end_s > first_s:
                yield Finding(
                    Verdict.NOT_READ,
                    gap.begin_s,
                    gap.end_s,
                    (
                        f"nobody read from {daemon.name} for {gap.duration_s:.0f} s:"
                        " Nimbus was away, or blocked by a Pacemaker that is dead",
                    ),
                )
    read_s = max((each.read_s for each in case.daemons if each.read_s), default=None)
    since_s = read_s if read_s is not None else first_s
    if case.now_s - since_s > TASK_TIMEOUT_S:
        yield Finding(
            Verdict.NOT_READ,
            since_s,
            None,
            (
                f"nobody has read as Nimbus does for {case.now_s - since_s:.0f} s:"
                " it is away, or blocked by a Pacemaker that is dead",
            ),
        )


def _present(case: Case, worker: Worker) -> Iterator[Finding]:
    """Yield what is wrong now with a worker that writes."""
    last = newest(case.facts(worker))
    if not last.is_stored or case.now_s - last.last_s > last.late_s:
        return
    if last.executors == 0:
        uptime_s = last.uptime_s or 0
        limit = (
            f"; after {LAUNCH_S} s Nimbus takes it for dead"
            if uptime_s < LAUNCH_S
            else f", which is more than {LAUNCH_S} s: Nimbus takes it for dead"
        )
        begin_s = last.last_s - uptime_s
        reasons = (
            f"it beats without executors: it has loaded for {uptime_s} s{limit}",
        )
        yield Finding(Verdict.LOADING, begin_s, None, reasons)
    elif case.lacks_supervisor(node_of(worker[1])):
        reasons = ("it writes, but its supervisor is not in ZooKeeper",)
        yield Finding(Verdict.SUPERVISOR_GONE, last.last_s, None, reasons)
