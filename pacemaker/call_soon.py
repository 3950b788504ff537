"""The type of a function that queues a call on another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Queues a function on a thread that runs queued calls.
CallSoon: TypeAlias = Callable[[Callable[[], None]], None]
