"""Numbers of seconds on the command line."""

from __future__ import annotations

import math
from typing import Any, Final

import click


class Seconds(click.FloatRange):
    """A number of seconds within a range.  Click's own type lets NaN through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the number.

        Raises:
            click.BadParameter: it is not a number, or not in the range.
        """
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


# A socket refuses a timeout that is too long, and nobody waits for an hour.
TIMEOUT: Final = Seconds(min=0, min_open=True, max=3600)
