"""Plans: how long and how often everything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Plan:
    """How thorough a run is.

    Attributes:
        name: of the plan.
        rounds: how often each server is measured in each row, in turn.
        rate_rounds: how often at the constant rate, where the machine itself is most
            of what there is to see in the tails.
        seconds: at saturation, in each round.
        rate_seconds: at the constant rate, in each round, at least.
        rate_requests: how many requests a round at the rate lasts for, where they
            are so few that p99.9 would be the one that a halt of the machine met.
        warm_up_s: under load before the first round; the JVM compiles meanwhile.
        starts: how often each server is started for the time that takes.
        list_seconds: of lists, in each store.
        most_connections: of the rows that it has; servers take long to open many.
        most_keys: of the stores, and of the heartbeats whose memory is measured.
        steady_seconds: of a steady cluster's load, and of the hunt for pauses.
        fill_bound_s: what no fill may take longer than.
    """

    name: str
    rounds: int
    rate_rounds: int
    seconds: float
    rate_seconds: float
    rate_requests: int
    warm_up_s: float
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
        Plan("full", 5, 9, 1.5, 1.5, 3_000, 2.5, 5, 1.5, 15_000, 1_000_000, 15.0, 90.0),
        Plan("quick", 1, 1, 0.8, 1.0, 0, 1.0, 2, 0.5, 1_000, 100_000, 4.0, 20.0),
        # To see that everything works; what it measures means nothing.
        Plan("smoke", 1, 1, 0.2, 0.2, 0, 0.1, 1, 0.1, 15_000, 1_000, 0.5, 20.0),
    )
}
