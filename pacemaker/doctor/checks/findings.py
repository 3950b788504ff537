"""Run all checks; pure."""

from __future__ import annotations

from pacemaker.doctor.checks import authentication, cluster, differences, one_file
from pacemaker.doctor.facts import ClusterFacts, Finding


def findings(facts: ClusterFacts) -> list[Finding]:
    """Return everything that is wrong, failures before warnings."""
    found: list[Finding] = []
    for file in facts.files:
        found.extend(one_file.check(facts, file))
    found.extend(differences.check(facts))
    found.extend(authentication.check(facts))
    found.extend(cluster.check(facts))
    return sorted(found, key=lambda each: not each.is_failure)
