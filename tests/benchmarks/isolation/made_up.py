"""Results of made-up trials."""

from __future__ import annotations

from benchmarks.isolation.figures import Figures, Latencies
from benchmarks.isolation.results import Results, Row

MIB = 2**20
TOPOLOGY = "honest-1-1700000000"


def latencies(p999_s: float, late_s: float = 0.0) -> Latencies:
    """Return latencies with a p99.9."""
    return Latencies(1000, p999_s / 4, p999_s / 2, p999_s, 2 * p999_s, late_s)


def row(attacked_s: float = 0.005, quiet_s: float = 0.002, late_s: float = 0.0) -> Row:
    """Return a row that meets every must, unless it is too slow."""
    figures = Figures(
        phases={
            "before": latencies(quiet_s),
            "control": latencies(quiet_s),
            "attack": latencies(attacked_s, late_s),
            "after": latencies(quiet_s),
            "reload": latencies(1.0),
        },
        alone_s={"pulse": 0.004, "read": 0.012},
        resident_bytes=100 * MIB,
        fed=10,
        unfed_s=0.5,
        reload_s=1.5,
        stop_s=0.1,
    )
    return Row(
        "churn", "they come and go", "ours", "one", 0.0, 128 * MIB, False, figures
    )


def results(*rows: Row) -> Results:
    """Return the results of a run of some rows."""
    return Results(
        machine={"processor": "an abacus"},
        versions={"storm-pacemaker-py": "1.0"},
        network="a namespace of their own",
        minutes=3.0,
        rows=list(rows) or [row()],
    )
