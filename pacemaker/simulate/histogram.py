"""A histogram of durations in constant memory.

The width of a bucket is 1/32 of its values.  So a percentile is at most 3 % too high,
from a microsecond to an hour; the maximum is exact.
"""

from __future__ import annotations

from typing import Final

# Each power of two is divided into 2^5 buckets.
_CUT_BITS: Final = 5
_CUT: Final = 1 << _CUT_BITS
_MAX_US: Final = 3600 * 10**6


def _bucket_of(us: int) -> int:
    """Return the bucket of a number of microseconds; below 64 each has its own."""
    shift = us.bit_length() - _CUT_BITS - 1
    return us if shift <= 0 else (shift << _CUT_BITS) + (us >> shift)


def _largest_in(bucket: int) -> int:
    if bucket < 2 * _CUT:
        return bucket
    shift = (bucket >> _CUT_BITS) - 1
    return ((bucket - (shift << _CUT_BITS) + 1) << shift) - 1


class Histogram:
    """A histogram of durations.

    Attributes:
        count: the number of durations.
        max_s: the longest duration; 0 if there is none.
    """

    __slots__ = ("_buckets", "count", "max_s")

    def __init__(self) -> None:
        self._buckets = [0] * (_bucket_of(_MAX_US) + 1)
        self.count = 0
        self.max_s = 0.0

    def __repr__(self) -> str:
        return f"<Histogram count={self.count} max_s={self.max_s}>"

    def record(self, seconds: float) -> None:
        """Add a duration; below 0 it counts as 0, above an hour as an hour."""
        us = min(max(int(seconds * 1e6), 0), _MAX_US)
        self._buckets[_bucket_of(us)] += 1
        self.count += 1
        self.max_s = max(self.max_s, seconds)

    def add(self, other: Histogram) -> None:
        """Add all durations of another histogram."""
        self._buckets = [
            mine + its for mine, its in zip(self._buckets, other._buckets, strict=True)
        ]
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def percentile_s(self, percent: float) -> float:
        """Return the duration that `percent` of all do not exceed; 0 if there are none.

        Args:
            percent: above 0, up to 100.
        """
        # The epsilon keeps rounding from turning 99.9 % of 1,000 into the 1,000th.
        wanted = self.count * percent / 100 - 1e-9
        seen = 0
        for bucket, count in enumerate(self._buckets):
            seen += count
            if count and seen >= wanted:
                return min(_largest_in(bucket) / 1e6, self.max_s)
        return 0.0
