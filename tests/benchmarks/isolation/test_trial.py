"""Each attack for a moment, on a real daemon: honest peers notice nothing wrong.

How fast they are answered is for `make isolation`; here nothing is lost, stale, reset
or answered twice, misses that have to be held are, and the daemon lives.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.attacks import ATTACKS
from benchmarks.isolation.network import network
from benchmarks.isolation.trial import Plan, Trial

pytestmark = pytest.mark.real

SMALL = Plan(
    warm_up_s=0.1,
    quiet_s=0.1,
    attack_s=1.0,
    workers=60,
    period_s=0.3,
    share=0.1,
    has_control=False,
    has_reload=False,
    pause_s=1.0,
)
# What these do is done with all connections or not at all, and they cost little.
WHOLE = ("responses-burst", "odd-reads", "unfinished", "silent", "long-names")
WITH_RELOAD = "pulses"
TOGETHER = [attack for attack in ATTACKS.values() if attack.goes_with_all]


def see(attacks: list[Attack], plan: Plan) -> None:
    """Attack a daemon, and check what the honest peers saw."""
    figures = Trial(attacks, network(), "one", plan).run()
    assert figures.is_alive
    assert figures.phases["attack"].count > 0
    wrong = (figures.lost, figures.wrong, figures.stale, figures.missed)
    assert wrong == (0, 0, 0, 0)
    assert figures.resets == 0
    assert figures.fed > 0


@pytest.mark.parametrize("name", ATTACKS)
def test_honest_peers_are_served_rightly_under_attack(name: str) -> None:
    """Each request gets its one reply, and each read what was written."""
    see([ATTACKS[name]], SMALL if name not in WHOLE else replace(SMALL, share=1.0))


def test_honest_peers_are_served_rightly_under_all_attacks() -> None:
    """All of them at once, with few connections each."""
    see(TOGETHER, replace(SMALL, share=0.02))


def test_honest_peers_are_served_rightly_by_several_io_threads() -> None:
    """Connections of one attack are with all threads, and so are the honest peers'."""
    see(TOGETHER, replace(SMALL, share=0.02, io_threads=4))


def test_daemon_is_reloaded_under_attack() -> None:
    """A reload succeeds, and takes every connection and every heartbeat along."""
    see([ATTACKS[WITH_RELOAD]], replace(SMALL, has_reload=True))


def test_attacks_reach_the_daemon() -> None:
    """An attack that sent nothing would show nothing."""
    trial = Trial([ATTACKS["reads"]], network(), "sixteen", SMALL)
    assert trial.run().received_bytes > 0
