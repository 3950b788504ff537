"""The plans of a run: which trials it has, and how long each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.trial import Plan


@dataclass(frozen=True)
class Wanted:
    """A way to run trials.

    Attributes:
        server: "ours" or "jvm".
        origin: one of `trial.ORIGINS`.
        plan: the length and size of each trial.
        has_special: whether to include attacks that need another kind of daemon, or
            much time.
    """

    server: str
    origin: str
    plan: Plan
    has_special: bool = False

    def fits(self, attack: Attack) -> bool:
        """Return whether to run an attack in this way."""
        if self.server == "jvm" and not attack.goes_with_all:
            return False
        return self.has_special or not (attack.hold_s or attack.pause_s)


_BRIEF: Final = Plan(quiet_s=2.0, attack_s=3.0, recovery_s=4.0, has_reload=False)
# If the server fails, it fails for long, as each request waits 11 s for its reply.
_BRIEFER: Final = replace(_BRIEF, has_control=False, attack_s=2.0, recovery_s=2.0)
_QUICK: Final = Plan(quiet_s=2.0, attack_s=3.0, recovery_s=4.0, has_control=False)

PLANS: Final[Mapping[str, Sequence[Wanted]]] = {
    "full": (
        Wanted("ours", "one", Plan(), has_special=True),
        Wanted("ours", "sixteen", _BRIEF),
        Wanted("ours", "own", _BRIEF),
        Wanted("jvm", "one", _BRIEFER),
    ),
    "quick": (Wanted("ours", "one", _QUICK),),
}
"""The plans, by name."""
