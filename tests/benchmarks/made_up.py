"""Results of a made-up run."""

from __future__ import annotations

from benchmarks.results import Column, Results, RowResult


def request_row(name: str = "2k-100") -> RowResult:
    """Return a row in which ours takes 12 us, the JVM 30, redis 10, the floor 6."""
    row = RowResult(name, "pulses", "requests")
    for server, cpu_us in (("ours", 12.0), ("jvm", 30.0), ("redis", 10.0)):
        row.columns[server] = _column(cpu_us)
    row.columns["floor"] = _column(6.0)
    row.columns["zookeeper"] = Column(note="takes less than that")
    return row


def _column(cpu_us: float) -> Column:
    column = Column()
    column.add(
        throughput_per_s=1e6 / cpu_us,
        cpu_us=cpu_us,
        saturated_p99_us=900.0,
        resident_bytes=cpu_us * 2**20,
        written_bytes_per_request=0.0,
        rate_per_s=1000.0,
        max_us=400 * cpu_us,
        cpu_at_rate_us=2 * cpu_us,
        **{"p50_us": 100 * cpu_us, "p99_us": 200 * cpu_us, "p99.9_us": 300 * cpu_us},
    )
    return column


def results(*rows: RowResult) -> Results:
    """Return the results of a run of some rows."""
    return Results(
        machine={"processor": "an abacus"},
        versions={"ours": "1.0"},
        minutes=3.0,
        rows={row.name: row for row in rows or [request_row()]},
    )
