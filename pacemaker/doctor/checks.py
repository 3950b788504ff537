"""Run all checks; pure."""

from __future__ import annotations

from pacemaker.doctor import cluster, configuration
from pacemaker.doctor.facts import Facts, Finding


def findings(facts: Facts) -> list[Finding]:
    """Return everything that is wrong, failures before warnings."""
    found = [*configuration.check(facts), *cluster.check(facts)]
    return sorted(found, key=lambda each: not each.is_failure)
