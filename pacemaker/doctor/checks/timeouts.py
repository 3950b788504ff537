"""Check timeouts that contradict each other, or the way Pacemaker works; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacemaker.config import storm_defaults
from pacemaker.doctor.facts import Finding
from pacemaker.doctor.storm_yaml import STORE, STORE_2X, StormYaml

# Two timeouts, the least number of times that the second must be the first, and what
# happens otherwise.
_LEAST_FACTORS: Final = (
    (
        "task.heartbeat.frequency.secs",
        "nimbus.task.timeout.secs",
        3,
        "Nimbus moves a living worker after a single lost heartbeat",
    ),
    (
        "nimbus.monitor.freq.secs",
        "nimbus.task.timeout.secs",
        2,
        "Nimbus looks too rarely to see a heartbeat in time, and moves living workers",
    ),
    (
        "supervisor.heartbeat.frequency.secs",
        "nimbus.supervisor.timeout.secs",
        3,
        "Nimbus takes a supervisor for dead after one or two late heartbeats",
    ),
    (
        "worker.heartbeat.frequency.secs",
        "supervisor.worker.timeout.secs",
        3,
        "the supervisor kills a living worker after one or two late heartbeats",
    ),
    (
        "supervisor.worker.timeout.secs",
        "nimbus.supervisor.timeout.secs",
        1,
        "Nimbus gives up a supervisor that still waits for its workers",
    ),
)


def check(file: StormYaml) -> Iterator[Finding]:
    """Yield what is wrong with the timeouts of one storm.yaml."""
    yield from _ratios(file)
    yield from _nimbus_start(file)
    yield from _blacklist(file)


def _ratios(file: StormYaml) -> Iterator[Finding]:
    """Compare each two timeouts whose ratio matters."""
    for low, high, factor, because in _LEAST_FACTORS:
        small, large = file.number(low), file.number(high)
        if small is None or large is None or small * factor <= large:
            continue
        yield Finding(
            check="timeouts",
            is_failure=True,
            key=high,
            file=file.source,
            value=f"{large:g}, while {low} is {small:g}",
            because=because,
            remedy=f"set {high} to at least {factor} times {low}: {small * factor:g}",
        )


def _nimbus_start(file: StormYaml) -> Iterator[Finding]:
    key = "supervisor.worker.heartbeats.max.timeout.secs"
    limit_s = file.number(key)
    if file.get(STORE) != STORE_2X or limit_s is None or limit_s <= 120:
        return
    yield Finding(
        check="nimbus_start",
        is_failure=False,
        key=key,
        file=file.source,
        value=f"{limit_s:g}" + ("" if key in file.values else " (the default)"),
        because="with Pacemaker, supervisors report no heartbeats of workers, so a new"
        f" leader of Nimbus waits {limit_s:g} s for them before it assigns anything",
        remedy="set it to 60 on the Nimbus hosts",
    )


def _blacklist(file: StormYaml) -> Iterator[Finding]:
    count = file.number("blacklist.scheduler.tolerance.count")
    resume_s = file.number("blacklist.scheduler.resume.time.secs")
    if file.get(STORE) != STORE_2X or count is None or resume_s is None:
        return
    if (
        count >= storm_defaults.BLACKLIST_TOLERANCE_COUNT
        and resume_s <= storm_defaults.BLACKLIST_RESUME_SECS
    ):
        return
    yield Finding(
        check="blacklist",
        is_failure=False,
        key="blacklist.scheduler.tolerance.count",
        file=file.source,
        value=f"{count:g}, while blacklist.scheduler.resume.time.secs is {resume_s:g}",
        because=f"after {count:g} moves of its workers, as in an outage of Pacemaker,"
        f" Nimbus does not use a supervisor for {resume_s:g} s",
        remedy=f"use Storm's defaults, {storm_defaults.BLACKLIST_TOLERANCE_COUNT} and"
        f" {storm_defaults.BLACKLIST_RESUME_SECS}, or a larger count",
    )
