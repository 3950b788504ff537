"""Wait for events in other processes, by polling until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.real.child import ChildError

T = TypeVar("T")

PAUSE_S = 0.2


class TooLateError(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(what: str, look: Callable[[], T | None], timeout_s: float) -> T:
    """Return what `look` gives, once that is true.

    Args:
        what: what is waited for, for the error.
        look: asked again and again; an AssertionError of its counts as a no,
            but the end of a child process is final.
        timeout_s: how long at most; generous, for nothing may depend on speed.

    Raises:
        TooLateError: it has not been true in time.

    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            seen: object = (found := look())
        except ChildError:
            raise
        except AssertionError as exc:
            seen = exc
        else:
            if found:
                return found
        if time.monotonic() > deadline_s:
            raise TooLateError(f"not within {timeout_s} s: {what}; last seen: {seen}")
        time.sleep(PAUSE_S)
