"""Plans: how long and how often everything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Plan:
    """How thorough a run is.

    Attributes:
        name: of the plan.
        sittings: how often in the run the rows of requests are taken up again.
        store_sittings: the same for lists and deletes, and for the longest pause.
        rounds: how often each server is loaded in each sitting, in turn.
        rate_rounds: the same at the constant rate; one standstill of the machine is
            all of a round's tail.
        seconds: at saturation, in each round.
        rate_seconds: at the constant rate, in each round, at least.
        rate_requests: as many a round at the rate has at least, and takes longer
            for; with few of them p99.9 is the largest latency.
        warm_up_s: under all the load there is, before the first round.
        compile_s: the same for servers that compile themselves meanwhile.
        starts: how often each server is started for the time that takes.
        list_seconds: of lists, in each store.
        most_connections: of the rows that it has; servers take long to open many.
        most_keys: of the stores, and of the heartbeats whose memory is measured.
        steady_seconds: of a steady cluster's load, and of the hunt for pauses.
        fill_bound_s: what no fill may take longer than.
    """

    name: str
    sittings: int
    store_sittings: int
    rounds: int
    rate_rounds: int
    seconds: float
    rate_seconds: float
    rate_requests: int
    warm_up_s: float
    compile_s: float
    starts: int
    list_seconds: float
    most_connections: int
    most_keys: int
    steady_seconds: float
    fill_bound_s: float

    def seconds_at(self, rate_per_s: float) -> float:
        """Return how long a round at a rate lasts."""
        return max(self.rate_seconds, self.rate_requests / rate_per_s)


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan(
            name="full",
            sittings=5,
            store_sittings=3,
            rounds=1,
            rate_rounds=3,
            seconds=1.5,
            rate_seconds=1.5,
            rate_requests=3_000,
            warm_up_s=1.0,
            compile_s=7.0,
            starts=5,
            list_seconds=1.5,
            most_connections=15_000,
            most_keys=1_000_000,
            steady_seconds=15.0,
            fill_bound_s=90.0,
        ),
        Plan(
            name="quick",
            sittings=1,
            store_sittings=1,
            rounds=1,
            rate_rounds=1,
            seconds=0.8,
            rate_seconds=1.0,
            rate_requests=0,
            warm_up_s=0.5,
            compile_s=2.0,
            starts=2,
            list_seconds=0.5,
            most_connections=1_000,
            most_keys=100_000,
            steady_seconds=4.0,
            fill_bound_s=20.0,
        ),
        # To see that everything works; what it measures means nothing.
        Plan(
            name="smoke",
            sittings=2,
            store_sittings=2,
            rounds=1,
            rate_rounds=1,
            seconds=0.2,
            rate_seconds=0.2,
            rate_requests=0,
            warm_up_s=0.1,
            compile_s=0.1,
            starts=1,
            list_seconds=0.1,
            most_connections=15_000,
            most_keys=1_000,
            steady_seconds=0.5,
            fill_bound_s=20.0,
        ),
    )
}
