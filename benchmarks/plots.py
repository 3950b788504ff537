"""Draw the plots of a run as small SVG files; equal results give equal files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Results
from benchmarks.servers import KINDS

# Colours that colour-blind people can tell apart (Okabe and Ito's).
_COLOURS: Final = {
    "ours": "#0072B2",
    "jvm": "#D55E00",
    "zookeeper": "#009E73",
    "redis": "#CC79A7",
    "floor": "#999999",
}
_STYLE: Final[Any] = {
    # Make ids and text the same in each run.
    "svg.hashsalt": "storm-pacemaker-py",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MIB: Final = 2**20


def draw(results: Results, folder: Path) -> list[tuple[str, Path]]:
    """Draw the plots for which the results have figures.

    Args:
        results: the results of a run.
        folder: the folder for the files.

    Returns:
        The title and the file of each plot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(_STYLE):
        for name, title, fill in _PLOTS:
            figure = Figure(figsize=(8.5, 3.4), layout="constrained")
            axes = figure.subplots()
            if fill(axes, results):
                axes.set_title(title, loc="left")
                figure.legend(loc="outside right upper", frameon=False)
                path = folder / f"{name}.svg"
                figure.savefig(path, metadata={"Date": None})
                drawn.append((title, path))
    return drawn


def _requests(results: Results) -> list[str]:
    return [name for name, row in results.rows.items() if row.kind == "requests"]


def _bars(axes: Axes, results: Results, rows: Sequence[str], figure: str) -> bool:
    """Draw a bar for each server in each row."""
    width = 0.8 / len(KINDS)
    any_drawn = False
    for place, server in enumerate(KINDS):
        values = [results.figure(row, server, figure) for row in rows]
        if any(value is not None for value in values):
            any_drawn = True
            axes.bar(
                [number + place * width for number in range(len(rows))],
                [value or 0 for value in values],
                width,
                label=KINDS[server].label,
                color=_COLOURS[server],
            )
    axes.set_xticks(
        [number + 0.4 - width / 2 for number in range(len(rows))],
        [row.replace("-deep", "\ndeep") for row in rows],
        fontsize=8,
    )
    axes.set_yscale("log")
    return any_drawn


def _throughput(axes: Axes, results: Results) -> bool:
    axes.set_ylabel("requests/s")
    return _bars(axes, results, _requests(results), "throughput_per_s")


def _cpu(axes: Axes, results: Results) -> bool:
    axes.set_ylabel("CPU time for each request, us")
    return _bars(axes, results, _requests(results), "cpu_us")


def _latency(axes: Axes, results: Results) -> bool:
    row = results.rows.get("2k-2000")
    columns = row.columns if row else {}
    for server, column in columns.items():
        shares = column.percentiles_us
        if shares:
            axes.plot(
                [1 / (1 - share / 100) for share in shares],
                [us / 1e3 for us in shares.values()],
                label=KINDS[server].label,
                color=_COLOURS[server],
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([2, 10, 100, 1000, 10000], ["p50", "p90", "p99", "p99.9", "p99.99"])
    axes.set_ylabel("latency, ms")
    return any(column.percentiles_us for column in columns.values())


def _stores(axes: Axes, results: Results) -> bool:
    sizes = {"1k": 1000, "100k": 100_000, "1m": 1_000_000}
    any_drawn = False
    for figure, style in (("list_us", "-"), ("delete_us", "--")):
        for server in KINDS:
            points = {
                keys: us
                for size, keys in sizes.items()
                if (us := results.figure(f"store-{size}-10", server, figure))
            }
            if points:
                any_drawn = True
                what = figure.removesuffix("_us")
                axes.plot(
                    list(points),
                    [us / 1e3 for us in points.values()],
                    style,
                    marker="o",
                    markersize=3,
                    label=f"{what}, {KINDS[server].label}",
                    color=_COLOURS[server],
                )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("heartbeats in the store")
    axes.set_ylabel("time, ms")
    return any_drawn


def _memory(axes: Axes, results: Results) -> bool:
    rows = [name for name, row in results.rows.items() if row.kind == "memory"]
    width = 0.8 / (len(KINDS) + 1)
    for place, server in enumerate(KINDS):
        values = [results.figure(row, server, "resident_bytes") for row in rows]
        if any(values):
            axes.bar(
                [number + place * width for number in range(len(rows))],
                [(value or 0) / _MIB for value in values],
                width,
                label=KINDS[server].label,
                color=_COLOURS[server],
            )
    contents = [results.figure(row, "ours", "content_bytes") or 0 for row in rows]
    axes.bar(
        [number + len(KINDS) * width for number in range(len(rows))],
        [content / _MIB for content in contents],
        width,
        label="keys and values",
        color="#dddddd",
    )
    axes.set_xticks([number + 0.4 - width / 2 for number in range(len(rows))], rows)
    axes.set_ylabel("MiB")
    return any(contents)


_PLOTS: Final[Sequence[tuple[str, str, Callable[[Axes, Results], bool]]]] = (
    ("throughput", "Requests a second, at saturation", _throughput),
    ("cpu", "CPU time of the server for each request, at saturation", _cpu),
    ("latency", "Latency of pulses over 2,000 connections, at one rate", _latency),
    ("stores", "A list of 10 topologies, and a delete of one", _stores),
    ("memory", "Resident memory of many heartbeats", _memory),
)
