"""The rows: what is measured, and on which servers; `row` defines what a row is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.cluster_rows import StartRow, SteadyRow
from benchmarks.load import Heartbeats
from benchmarks.request_rows import ALL_SERVERS, RequestRow, mix, one_kind
from benchmarks.row import Row
from benchmarks.servers import KINDS
from benchmarks.store_rows import (
    MEASURED_ENOUGH,
    NO_DIRECTORIES,
    MemoryRow,
    PauseRow,
    StoreRow,
)
from benchmarks.variants import ADMIN_OPTIONS, RelayRow, VariantsRow

_ONE_REPLY: Final = "only has the reply to a pulse"
_KIB: Final = 1024

ROWS: Final[Sequence[Row]] = (
    RequestRow(
        "2k-100",
        "pulses of 2 KiB, 100 connections",
        Heartbeats(100, 2 * _KIB),
        one_kind("pulse", 100),
    ),
    RequestRow(
        "2k-2000",
        "pulses of 2 KiB, 2,000 connections",
        Heartbeats(2000, 2 * _KIB),
        one_kind("pulse", 2000),
    ),
    RequestRow(
        "2k-100-deep",
        "the same, 100 connections, 50 in flight on each",
        Heartbeats(100, 2 * _KIB),
        one_kind("pulse", 100, 50),
    ),
    RequestRow(
        "2k-2000-deep",
        "the same, 2,000 connections, 50 in flight on each",
        Heartbeats(2000, 2 * _KIB),
        one_kind("pulse", 2000, 50),
    ),
    RequestRow(
        "32k-100",
        "pulses of 32 KiB, 100 connections",
        Heartbeats(100, 32 * _KIB),
        one_kind("pulse", 100),
    ),
    RequestRow(
        "1m-20",
        "pulses of 1 MiB, 20 connections",
        Heartbeats(20, _KIB * _KIB),
        one_kind("pulse", 20),
        refusals={"zookeeper": "only accepts less than 1 MiB (jute.maxbuffer)"},
    ),
    RequestRow(
        "read-100",
        "reads of 2 KiB, 100 connections",
        Heartbeats(100, 2 * _KIB),
        one_kind("read", 100),
        refusals={"floor": _ONE_REPLY},
    ),
    RequestRow(
        "round",
        "Nimbus's round: 15,000 heartbeats of 5,300 bytes, one read after another",
        Heartbeats(15_000, 5300, 150),
        one_kind("read", 1),
        refusals={"floor": _ONE_REPLY},
    ),
    RequestRow(
        "mix",
        "the mix of a cluster: 200 connections pulse, 60 read, one lists",
        Heartbeats(200, 2 * _KIB, 20),
        mix(200, 60),
        refusals={"floor": _ONE_REPLY, "redis": NO_DIRECTORIES},
    ),
    *(
        StoreRow(keys, topologies)
        for topologies in (10, 1000)
        for keys in (1000, 100_000, 1_000_000)
    ),
    MemoryRow(
        "memory-100",
        1_000_000,
        100,
        refusals={"zookeeper": MEASURED_ENOUGH},
    ),
    MemoryRow("memory-2k", 100_000, 2 * _KIB, passes=10, spread=0.3),
    PauseRow(),
    StartRow(),
    SteadyRow("cluster-270", 270, ("ours", "jvm", "zookeeper", "redis", "floor")),
    # As many connections as one process may have here, with the servers that accept
    # them.
    SteadyRow("cluster-1500", 1500, ("ours", "jvm", "redis", "floor")),
    SteadyRow("relays-5000", 5000, ("ours",), value_bytes=2 * _KIB, has_relays=True),
    RelayRow("relay-10", 10),
    RelayRow("relay-100", 100),
    VariantsRow(
        "io-threads",
        "pulses of 2 KiB, 100 connections",
        {str(count): ("--io-threads", str(count)) for count in (1, 2, 4, 8)},
    ),
    VariantsRow(
        "inside",
        "pulses of 2 KiB, 100 connections",
        {
            "with its defaults": (),
            "without history": ("--no-history",),
            "with an endpoint, scraped each second": ADMIN_OPTIONS,
        },
    ),
)
"""All rows, in the order in which they are measured and shown."""

assert KINDS.keys() >= set(ALL_SERVERS)  # noqa: S101
