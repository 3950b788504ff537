"""The bars: how fast and how small the daemon must be, and whether it is.

A bar has a *must*, and a stricter *aim*.  Almost all bars are ratios to another
server's figure in the same run, so that the machine's speed cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.results import Results, divided
from benchmarks.variants import DIRECTLY, RELAYED

_MIB: Final = 2**20
# The memory that the bars allow the process in addition to the heartbeats.
_PROCESS_BYTES: Final = 40 * _MIB

Value = Callable[[Results], "float | None"]


@dataclass(frozen=True)
class Bar:
    """One requirement.

    Attributes:
        what: the description of what is measured.
        value: reads the figure from the results; returns None if they lack it.
        must: the required value.
        aim: the desired value; None if there is no stricter one than the *must*.
        unit: the unit of all three.
        is_least: whether the bounds are minimums, so that more is better.
        floor: reads the floor's figure, to show how much the machine contributes; None
            if the machine has no such influence.
    """

    what: str
    value: Value
    must: float
    aim: float | None
    unit: str = "x"
    is_least: bool = False
    floor: Value | None = None

    def reaches(self, value: float, bar: float) -> bool:
        """Return whether a value reaches a bar."""
        return value >= bar if self.is_least else value <= bar

    def verdict(self, value: float | None) -> str:
        """Describe how a value compares with the bar."""
        if value is None:
            return "not measured"
        if not self.reaches(value, self.must):
            return "MISSED"
        if self.aim is not None and not self.reaches(value, self.aim):
            return "must met, aim missed"
        return "met"


def _ratio(row: str, figure: str, base: str) -> Value:
    return lambda results: results.ratio(row, figure, "ours", base)


def _figure(row: str, figure: str, per: float = 1.0) -> Value:
    return lambda results: divided(results.figure(row, "ours", figure), per)


def _between_rows(row: str, base_row: str, figure: str) -> Value:
    return lambda results: divided(
        results.figure(row, "ours", figure), results.figure(base_row, "ours", figure)
    )


def _of_relay(figure: str, per: float = 1.0) -> Value:
    """Read a figure of the relay of a host with ten workers."""
    return lambda results: divided(results.figure("relay-10", RELAYED, figure), per)


def _read_through_relay(results: Results) -> float | None:
    """Read by how many milliseconds the p99 of a read is later through a relay."""
    relayed = results.figure("relay-10", RELAYED, "read_p99_us")
    direct = results.figure("relay-10", DIRECTLY, "read_p99_us")
    return None if relayed is None or direct is None else (relayed - direct) / 1e3


def _times_faster(results: Results) -> float | None:
    return results.ratio("store-100k-10", "list_us", "jvm", "ours")


def _worst(figure: str, server: str = "ours") -> Value:
    """Read a server's worst ratio to the JVM's over all rows of requests."""

    def value(results: Results) -> float | None:
        names = [name for name, row in results.rows.items() if row.kind == "requests"]
        ratios = [results.ratio(name, figure, server, "jvm") for name in names]
        return max((each for each in ratios if each is not None), default=None)

    return value


def _tail(what: str, figure: str) -> Bar:
    floor = _worst(figure, "floor")
    return Bar(what, _worst(figure), 1, 0.5, floor=floor)


def _bytes_for_each(row: str) -> Value:
    def value(results: Results) -> float | None:
        resident = results.figure(row, "ours", "resident_bytes")
        content = results.figure(row, "ours", "content_bytes")
        return None if resident is None else divided(resident - _PROCESS_BYTES, content)

    return value


_TIMES_FLOOR: Final = "CPU time of a pulse of 2 KiB, times the floor's"
_TIMES_JVM: Final = "CPU time of a pulse of 2 KiB, times the JVM's"
_TIMES_REDIS: Final = "CPU time of a pulse of 2 KiB, times redis's for a SET"
_READ_TIMES: Final = "CPU time of a read of 2 KiB, 100 connections, times"
_WORST_ROW: Final = "times the JVM's, in the worst row of requests"
_BEYOND_PROCESS: Final = "without the first 40 MiB, times their size"
_THROUGHPUT: Final = "throughput of pulses of 2 KiB, times the JVM's"

BARS: Final[Sequence[Bar]] = (
    Bar(
        f"{_TIMES_FLOOR}, 100 connections",
        _ratio("2k-100", "cpu_us", "floor"),
        2.0,
        1.4,
    ),
    Bar(
        f"{_TIMES_FLOOR}, 2,000 connections",
        _ratio("2k-2000", "cpu_us", "floor"),
        2.2,
        1.6,
    ),
    Bar(
        f"{_TIMES_JVM}, 100 connections", _ratio("2k-100", "cpu_us", "jvm"), 0.55, 0.35
    ),
    Bar(
        f"{_TIMES_JVM}, 2,000 connections", _ratio("2k-2000", "cpu_us", "jvm"), 0.8, 0.5
    ),
    Bar(
        f"{_TIMES_REDIS}, 100 connections",
        _ratio("2k-100", "cpu_us", "redis"),
        1.3,
        0.9,
    ),
    Bar(
        f"{_TIMES_REDIS}, 2,000 connections",
        _ratio("2k-2000", "cpu_us", "redis"),
        1.3,
        0.9,
    ),
    Bar(
        f"{_THROUGHPUT}, 100 connections",
        _ratio("2k-100", "throughput_per_s", "jvm"),
        1.5,
        2.2,
        is_least=True,
    ),
    Bar(
        f"{_THROUGHPUT}, 2,000 connections",
        _ratio("2k-2000", "throughput_per_s", "jvm"),
        1.1,
        1.6,
        is_least=True,
    ),
    Bar(
        f"{_THROUGHPUT}, 100 connections, 50 in flight on each",
        _ratio("2k-100-deep", "throughput_per_s", "jvm"),
        3,
        6,
        is_least=True,
    ),
    Bar(
        f"{_THROUGHPUT}, 2,000 connections, 50 in flight on each",
        _ratio("2k-2000-deep", "throughput_per_s", "jvm"),
        3,
        6,
        is_least=True,
    ),
    Bar(
        "throughput of pulses of 32 KiB, times the JVM's",
        _ratio("32k-100", "throughput_per_s", "jvm"),
        1.3,
        2,
        is_least=True,
    ),
    Bar(
        "throughput of pulses of 1 MiB, times the JVM's",
        _ratio("1m-20", "throughput_per_s", "jvm"),
        1.0,
        2,
        is_least=True,
    ),
    Bar(
        f"{_READ_TIMES} redis's for a GET",
        _ratio("read-100", "cpu_us", "redis"),
        1.35,
        None,
    ),
    Bar(f"{_READ_TIMES} the JVM's", _ratio("read-100", "cpu_us", "jvm"), 0.45, None),
    Bar(
        "CPU time of a request in the mix of a cluster, times the JVM's",
        _ratio("mix", "cpu_us", "jvm"),
        0.45,
        None,
    ),
    Bar(
        "Nimbus's round for 15,000 workers: time, times that of redis's GETs",
        lambda results: results.ratio("round", "throughput_per_s", "redis", "ours"),
        1.3,
        None,
    ),
    Bar(
        "CPU time of a pulse of 32 KiB, times the floor's",
        _ratio("32k-100", "cpu_us", "floor"),
        1.6,
        None,
    ),
    Bar(
        "CPU time of a pulse of 1 MiB, times the floor's",
        _ratio("1m-20", "cpu_us", "floor"),
        1.7,
        None,
    ),
    _tail(f"p99, {_WORST_ROW}", "p99_us"),
    _tail(f"p99.9, {_WORST_ROW}", "p99.9_us"),
    _tail(f"the largest latency, {_WORST_ROW}", "max_us"),
    Bar(
        "list of 10 topologies: time with 1,000,000 heartbeats, relative to 1,000",
        _between_rows("store-1m-10", "store-1k-10", "list_us"),
        1.25,
        None,
    ),
    Bar(
        "list of 10 topologies among 100,000 heartbeats, times faster than the JVM's",
        _times_faster,
        1,
        1000,
        is_least=True,
    ),
    Bar(
        "delete of a topology: time with 1,000,000 heartbeats, relative to 1,000",
        _between_rows("store-1m-10", "store-1k-10", "delete_us"),
        1.5,
        None,
    ),
    Bar(
        "the longest pause under load, with 1,000,000 heartbeats",
        _figure("pause", "max_us", 1e3),
        100,
        20,
        "ms",
    ),
    Bar(
        f"memory of 1,000,000 heartbeats of 100 bytes, {_BEYOND_PROCESS}",
        _bytes_for_each("memory-100"),
        1.8,
        1.5,
    ),
    Bar(
        f"memory of 100,000 rewritten heartbeats of 2 KiB, {_BEYOND_PROCESS}",
        _bytes_for_each("memory-2k"),
        1.2,
        1.1,
    ),
    Bar(
        "resident memory at rest, times the JVM's",
        _ratio("start", "rest_bytes", "jvm"),
        1 / 3,
        1 / 4,
    ),
    Bar(
        "resident memory under the load of 2,000 connections, times the JVM's",
        _ratio("2k-2000", "resident_bytes", "jvm"),
        1 / 10,
        1 / 20,
    ),
    Bar("start to first reply", _figure("start", "start_s"), 0.5, 0.25, "s"),
    Bar(
        "270 supervisors: CPU time, times the JVM's",
        _ratio("cluster-270", "cores", "jvm"),
        0.45,
        0.3,
    ),
    Bar(
        "270 supervisors: resident memory",
        _figure("cluster-270", "resident_bytes", _MIB),
        90,
        60,
        "MiB",
    ),
    Bar(
        "1,500 supervisors: pulses and reads not answered",
        _figure("cluster-1500", "lost"),
        0,
        None,
        "",
    ),
    Bar(
        "1,500 supervisors: the largest latency",
        _figure("cluster-1500", "max_us", 1e3),
        1000,
        None,
        "ms",
    ),
    Bar(
        "1,500 supervisors: p99",
        _figure("cluster-1500", "p99_us", 1e3),
        50,
        None,
        "ms",
    ),
    Bar(
        "1,500 supervisors: cores used",
        _figure("cluster-1500", "cores"),
        1,
        0.25,
        "",
    ),
    Bar(
        "5,000 relays, 50,000 workers: pulses and reads not answered",
        _figure("relays-5000", "lost"),
        0,
        None,
        "",
    ),
    Bar(
        "5,000 relays, 50,000 workers: p99",
        _figure("relays-5000", "p99_us", 1e3),
        50,
        None,
        "ms",
    ),
    Bar(
        "5,000 relays, 50,000 workers: cores used",
        _figure("relays-5000", "cores"),
        1,
        None,
        "",
    ),
    Bar(
        "the relay of a host with ten workers: resident memory",
        _of_relay("resident_bytes", _MIB),
        48,
        None,
        "MiB",
    ),
    Bar(
        "the relay of a host with ten workers: part of a core",
        _of_relay("cores", 0.01),
        1,
        None,
        "%",
    ),
    Bar(
        "the relay of a host with ten workers: what it adds to the p99 of a read",
        _read_through_relay,
        2,
        None,
        "ms",
    ),
)
"""All bars."""
