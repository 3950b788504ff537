"""The report of a run, as text and as JSON, with its verdict."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pacemaker.config.storm_defaults import (
    NIMBUS_MONITOR_SECS,
    NIMBUS_TASK_TIMEOUT_SECS,
)
from pacemaker.simulate.histogram import Histogram
from pacemaker.simulate.shape import ClusterShape
from pacemaker.simulate.tally import BEHIND_S, LATE_S, Tally
from pacemaker.texts import counted

# One pulse this far behind could be late because of the generator alone.
FAR_BEHIND_S: Final = LATE_S / 2
# If more than this share of pulses are behind by `BEHIND_S`, p99 means nothing.
BEHIND_SHARE: Final = 0.01

_MIB: Final = 2**20


class RunVerdict(enum.Enum):
    """Whether the server carries the cluster."""

    CARRIES = "carries"
    DOES_NOT = "does-not"
    UNKNOWN = "unknown"
    """The generator fell behind, so its figures say nothing about the server."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Latency:
    """The latencies of answers, in seconds from their scheduled times.

    Attributes:
        answered: the number of answers.
        late: the number of answers that took more than a second.
    """

    answered: int
    late: int
    p50_s: float
    p99_s: float
    p999_s: float
    max_s: float


@dataclass(frozen=True)
class Rounds:
    """Nimbus's rounds.

    Attributes:
        count: the number of finished rounds.
        p50_s: their median duration.
        max_s: the longest duration, including a round unfinished at the end.
    """

    count: int
    p50_s: float
    max_s: float


@dataclass(frozen=True)
class ServerUse:
    """The resources that the server's process used.

    Attributes:
        cpu_share: its share of one core.
        resident_bytes: its resident memory at the end of the run.
    """

    pid: int
    cpu_share: float
    resident_bytes: int


@dataclass(frozen=True)
class Report:
    """The results of a run.

    Attributes:
        server: the server's name.
        shape: the size of the cluster.
        value_bytes: the average size of a heartbeat.
        duration_s: how long pulses were sent.
        is_interrupted: whether that was shorter than requested.
        scheduled: the number of scheduled pulses.
        lost: pulses and reads that were never answered.
        pulses: the answers to pulses.
        reads: the answers to Nimbus.
        rounds: Nimbus's rounds.
        wrong: answers to Nimbus that differ from what was stored, by kind of problem.
        losses: connections that ended, by reason.
        sent_bytes_per_s: traffic to the server.
        rcvd_bytes_per_s: traffic from it.
        lag_p99_s: how far behind schedule the generator wrote pulses, p99.
        lag_max_s: the same, the maximum.
        behind: the number of pulses written more than `BEHIND_S` behind.
        generator_cpu_share: the generator's share of a core.
        server_use: None if the process is not visible.
    """

    server: str
    shape: ClusterShape
    value_bytes: int
    duration_s: float
    is_interrupted: bool
    scheduled: int
    lost: int
    pulses: Latency
    reads: Latency
    rounds: Rounds
    wrong: Mapping[str, int]
    losses: Mapping[str, int]
    sent_bytes_per_s: float
    rcvd_bytes_per_s: float
    lag_p99_s: float
    lag_max_s: float
    behind: int
    generator_cpu_share: float
    server_use: ServerUse | None

    @property
    def verdict(self) -> RunVerdict:
        """The verdict of the run."""
        if self.lag_max_s > FAR_BEHIND_S or self.behind > BEHIND_SHARE * self.scheduled:
            return RunVerdict.UNKNOWN
        if any(self.problems()):
            return RunVerdict.DOES_NOT
        return RunVerdict.INTERRUPTED if self.is_interrupted else RunVerdict.CARRIES

    def problems(self) -> Iterator[str]:
        """Yield the reasons why the server does not carry the cluster."""
        if self.lost:
            yield f"{self.lost:,} never answered"
        late = self.pulses.late + self.reads.late
        if late:
            yield f"{late:,} answered after more than {LATE_S:g} s"
        for what, count in self.wrong.items():
            yield f"{what}: {count:,}"
        if self.rounds.max_s > NIMBUS_TASK_TIMEOUT_SECS:
            yield (
                f"a round of Nimbus took {self.rounds.max_s:.0f} s, but it calls"
                f" workers dead after {NIMBUS_TASK_TIMEOUT_SECS} s"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "verdict": self.verdict.value,
            "problems": list(self.problems()),
            "workers": self.shape.workers_in_all,
            "pulses_per_s": self.scheduled / self.duration_s,
            **asdict(self),
        }

    def lines(self) -> Iterator[str]:
        """Yield the report as text; the last line is the answer."""
        yield from self._figures()
        yield ""
        yield self._answer()

    def _figures(self) -> Iterator[str]:
        shape, pulses, reads = self.shape, self.pulses, self.reads
        yield f"cluster    {shape}: {counted(shape.workers_in_all, 'worker', ',')}"
        yield (
            f"pulses     {self.scheduled:,} of {_size(self.value_bytes)} in"
            f" {self.duration_s:.0f} s, {self.scheduled / self.duration_s:,.0f}/s:"
            f" {pulses.answered:,} answered, {pulses.late:,} of them late"
        )
        yield f"latency    {_latencies(pulses)}, from the scheduled times"
        yield (
            f"Nimbus     {counted(self.rounds.count, 'round', ',')}, median"
            f" {self.rounds.p50_s:.2f} s, longest {self.rounds.max_s:.2f} s;"
            f" {counted(reads.answered, 'read', ',')}, {_latencies(reads)}"
        )
        if self.rounds.max_s > NIMBUS_MONITOR_SECS:
            yield f"           Nimbus starts a round every {NIMBUS_MONITOR_SECS} s"
        yield (
            f"network    {_size(self.sent_bytes_per_s)}/s to the server,"
            f" {_size(self.rcvd_bytes_per_s)}/s from it"
        )
        for reason, count in self.losses.items():
            yield f"lost       {counted(count, 'connection', ',')}: {reason}"
        if self.server_use is not None:
            use = self.server_use
            yield (
                f"server     {use.cpu_share:.1%} of one core,"
                f" {use.resident_bytes / _MIB:,.0f} MiB (process {use.pid})"
            )
        yield (
            f"generator  {self.generator_cpu_share:.1%} of one core; wrote pulses"
            f" {_ms(self.lag_p99_s)} (p99) to {_ms(self.lag_max_s)} ms behind"
            " schedule"
        )

    def _answer(self) -> str:
        cluster = f"a cluster of {self.shape}"
        problems = "; ".join(self.problems())
        if self.verdict is RunVerdict.UNKNOWN:
            return (
                "The generator is saturated: no verdict. It wrote"
                f" {counted(self.behind, 'pulse', ',')} more than {BEHIND_S:g} s late,"
                " so the latencies are partly its own."
                " Run it on a faster or idle machine, or with fewer workers."
            )
        if self.verdict is RunVerdict.INTERRUPTED:
            return f"Interrupted; so far {self.server} carried {cluster}."
        if self.verdict is RunVerdict.CARRIES:
            return f"Yes: {self.server} carries {cluster}."
        return f"No: {self.server} does not carry {cluster}: {problems}."


def make_report(
    server: str,
    shape: ClusterShape,
    tally: Tally,
    *,
    value_bytes: int,
    duration_s: float,
    is_interrupted: bool,
    lost_reads: int,
    unfinished_round_s: float,
    generator_cpu_s: float,
    server_use: ServerUse | None,
) -> Report:
    """Create the report of a finished run.

    Args:
        lost_reads: Nimbus's requests that were never answered.
        unfinished_round_s: how long the unfinished round had taken.
        generator_cpu_s: the generator's CPU time.
    """
    rounds = tally.rounds
    return Report(
        server=server,
        shape=shape,
        value_bytes=value_bytes,
        duration_s=duration_s,
        is_interrupted=is_interrupted,
        scheduled=tally.scheduled,
        lost=tally.unanswered + lost_reads,
        pulses=_latency(tally.pulses.all, tally.pulses.late),
        reads=_latency(tally.reads.all, tally.reads.late),
        rounds=Rounds(
            rounds.count,
            rounds.percentile_s(50),
            max(rounds.max_s, unfinished_round_s),
        ),
        wrong=dict(tally.wrong),
        losses=dict(tally.losses),
        sent_bytes_per_s=tally.sent_bytes / duration_s,
        rcvd_bytes_per_s=tally.rcvd_bytes / duration_s,
        lag_p99_s=tally.lag.percentile_s(99),
        lag_max_s=tally.lag.max_s,
        behind=tally.behind,
        generator_cpu_share=generator_cpu_s / duration_s,
        server_use=server_use,
    )


def _latency(histogram: Histogram, late: int) -> Latency:
    return Latency(
        answered=histogram.count,
        late=late,
        p50_s=histogram.percentile_s(50),
        p99_s=histogram.percentile_s(99),
        p999_s=histogram.percentile_s(99.9),
        max_s=histogram.max_s,
    )


def _latencies(latency: Latency) -> str:
    return (
        f"p50 {_ms(latency.p50_s)}, p99 {_ms(latency.p99_s)},"
        f" p99.9 {_ms(latency.p999_s)}, largest {_ms(latency.max_s)} ms"
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.{0 if seconds >= 0.1 else 1}f}"


def _size(size_bytes: float) -> str:
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:,.1f} MB"
