"""The numbers of the daemon as a whole, each with its reason."""

from __future__ import annotations

from typing import Final

# Fractions of the memory that the process may use.
BUFFER_BUDGET_SHARE: Final = 0.25
STORE_BUDGET_SHARE: Final = 0.5
# What part of the store's budget the history may take: it has room for as many workers
# as the store has, if their heartbeats have 5 KB on average.
HISTORY_SHARE: Final = 1 / 16
# The most that it may take however large the store may be: the records of about
# 27,000 workers.  A million keys would need half a gibibyte.
HISTORY_MOST_BYTES: Final = 14 * 1024 * 1024

# The descriptors that an admin endpoint needs besides `RESERVED_DESCRIPTORS`: 16
# connections, its listening socket, and those that its thread waits with.
ADMIN_DESCRIPTORS: Final = 24

# What an idle connection adds to the memory of an upgrade: its part of the state, and
# the Python objects made from it.
CONNECTION_BYTES: Final = 2048

# The sample of heartbeats that the trial of an upgrade reads and stores.
SAMPLED_HEARTBEATS: Final = 16
SAMPLED_BYTES: Final = 16 * 1024

# How often the figures are logged.
FIGURES_EVERY_S: Final = 60.0

# How often the daemon checks whether enough memory of buffers or heartbeats was freed
# to return it to the system (`TIDY_BYTES`).
TIDY_EVERY_S: Final = 1.0

# How many times per watchdog interval the daemon checks that all its threads make
# progress.  One check asks the threads, and a later one sees their answers.
WATCHDOG_TURNS: Final = 4
