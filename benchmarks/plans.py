"""Plans: how long and how often each row is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Plan:
    """How thorough a run is.

    Attributes:
        name: the name of the plan.
        sittings: the number of sittings for rows of requests.
        store_sittings: the number of sittings for lists, deletes and the longest pause.
        rounds: the number of rounds at saturation in a sitting; each of them loads one
            server after another.
        rate_rounds: the number of rounds at the constant rate.  It takes several: if
            the machine stalls once, that alone makes the tail of a round.
        seconds: the length of a round at saturation.
        rate_seconds: the least length of a round at the constant rate.
        rate_requests: the least number of requests of such a round, which takes longer
            if necessary: with few requests, p99.9 would be the largest latency.
        warm_up_s: the warm-up under full load, before the first round.
        compile_s: the warm-up of servers that compile their code meanwhile.
        starts: how often each server is started, to measure the time of a start.
        list_seconds: how long lists are measured in each store.
        most_connections: rows with more connections are left out, because opening many
            takes long.
        most_keys: the most keys in a store, and the most heartbeats in memory.
        steady_seconds: how long a steady cluster and the longest pause are measured.
        fill_bound_s: the time limit of a fill.
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
        """Return the length of a round at a rate."""
        return max(self.rate_seconds, self.rate_requests / rate_per_s)


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan(
            name="full",
            sittings=3,
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
        # Shows that everything works; its figures mean nothing.
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
