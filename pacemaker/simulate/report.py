"""What a run found, as figures, as words and as JSON; and its verdict."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pacemaker.simulate.histogram import Histogram
from pacemaker.simulate.nimbus import ROUND_EVERY_S, TIMEOUT_S
from pacemaker.simulate.shape import ClusterShape
from pacemaker.simulate.tally import BEHIND_S, LATE_S, Tally
from pacemaker.words import counted

# A single pulse written this late could be late by the generator's fault alone.
FAR_BEHIND_S: Final = LATE_S / 2
# More pulses than this share behind by `BEHIND_S`, and p99 says nothing.
BEHIND_SHARE: Final = 0.01

_MIB: Final = 2**20


class Verdict(enum.Enum):
    """The answer to: does this server carry that cluster?"""

    CARRIES = "carries"
    DOES_NOT = "does-not"
    UNKNOWN = "unknown"
    """The generator fell behind, so what it saw says nothing of the server."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Latency:
    """How long answers took, in seconds from the moment they were due.

    Attributes:
        answered: how many there were.
        late: how many took more than a second.
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
        count: those that were finished.
        p50_s: how long they took, in the median.
        max_s: the longest; one that was under way at the end counts as well.
    """

    count: int
    p50_s: float
    max_s: float


@dataclass(frozen=True)
class ServerUse:
    """What the server's process took, where it could be looked at.

    Attributes:
        cpu_share: of one core.
        resident_bytes: its resident memory at the end of the run.
    """

    pid: int
    cpu_share: float
    resident_bytes: int


@dataclass(frozen=True)
class Report:
    """A run and what it found.

    Attributes:
        server: its name.
        shape: the cluster's.
        value_bytes: the size of a heartbeat, on average.
        duration_s: how long pulses were sent.
        is_interrupted: whether that was shorter than asked for.
        due: pulses that were due.
        lost: pulses and reads that were never answered.
        pulses: the answers to pulses.
        reads: the answers to Nimbus.
        rounds: Nimbus's.
        wrong: answers to Nimbus that are not what was stored, by what is wrong.
        losses: connections that ended, by why.
        sent_bytes_per_s: to the server.
        rcvd_bytes_per_s: from it.
        lag_p99_s: how long after they were due the generator wrote pulses.
        lag_max_s: the longest of that.
        behind: how many pulses it wrote more than `BEHIND_S` late.
        generator_cpu_share: what it took of a core itself.
        server_use: None where the process cannot be seen.
    """

    server: str
    shape: ClusterShape
    value_bytes: int
    duration_s: float
    is_interrupted: bool
    due: int
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
    def verdict(self) -> Verdict:
        """The answer."""
        if self.lag_max_s > FAR_BEHIND_S or self.behind > BEHIND_SHARE * self.due:
            return Verdict.UNKNOWN
        if any(self.problems()):
            return Verdict.DOES_NOT
        return Verdict.INTERRUPTED if self.is_interrupted else Verdict.CARRIES

    def problems(self) -> Iterator[str]:
        """Say what a server that carries the cluster would not do."""
        if self.lost:
            yield f"{self.lost:,} never answered"
        late = self.pulses.late + self.reads.late
        if late:
            yield f"{late:,} answered after more than {LATE_S:g} s"
        for what, count in self.wrong.items():
            yield f"{what}: {count:,}"
        if self.rounds.max_s > TIMEOUT_S:
            yield (
                f"a round of Nimbus took {self.rounds.max_s:.0f} s, but it calls"
                f" workers dead after {TIMEOUT_S:g} s"
            )

    def as_json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {
            "verdict": self.verdict.value,
            "problems": list(self.problems()),
            "workers": self.shape.workers_in_all,
            "pulses_per_s": self.due / self.duration_s,
            **asdict(self),
        }

    def lines(self) -> Iterator[str]:
        """Say all of it in words, the answer last."""
        yield from self._figures()
        yield ""
        yield self._answer()

    def _figures(self) -> Iterator[str]:
        shape, pulses, reads = self.shape, self.pulses, self.reads
        yield f"cluster    {shape}: {counted(shape.workers_in_all, 'worker', ',')}"
        yield (
            f"pulses     {self.due:,} of {_size(self.value_bytes)} in"
            f" {self.duration_s:.0f} s, {self.due / self.duration_s:,.0f}/s:"
            f" {pulses.answered:,} answered, {pulses.late:,} of them late"
        )
        yield f"latency    {_latencies(pulses)}, from the scheduled times"
        yield (
            f"Nimbus     {counted(self.rounds.count, 'round', ',')}, median"
            f" {self.rounds.p50_s:.2f} s, longest {self.rounds.max_s:.2f} s;"
            f" {counted(reads.answered, 'read', ',')}, {_latencies(reads)}"
        )
        if self.rounds.max_s > ROUND_EVERY_S:
            yield f"           Nimbus starts a round every {ROUND_EVERY_S:g} s"
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
        if self.verdict is Verdict.UNKNOWN:
            return (
                "No answer: the generator itself fell behind: it wrote"
                f" {counted(self.behind, 'pulse', ',')} more than {BEHIND_S:g} s late."
                " Run it on a faster or idle machine, or with fewer workers."
            )
        if self.verdict is Verdict.INTERRUPTED:
            return f"Interrupted; so far {self.server} carried {cluster}."
        if self.verdict is Verdict.CARRIES:
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
    """Draw up the report of a run that has ended.

    Args:
        lost_reads: Nimbus's requests that were never answered.
        unfinished_round_s: how long the round that was under way had taken.
        generator_cpu_s: the CPU time that sending took.
    """
    rounds = tally.rounds
    return Report(
        server=server,
        shape=shape,
        value_bytes=value_bytes,
        duration_s=duration_s,
        is_interrupted=is_interrupted,
        due=tally.due,
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
