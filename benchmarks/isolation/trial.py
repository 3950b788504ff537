"""One trial: a daemon, the honest peers, and an attack between two quiet phases."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from benchmarks.isolation.attack import Attack
from benchmarks.isolation.children import (
    AttackProcess,
    HonestProcess,
    attackers,
    honest_peers,
)
from benchmarks.isolation.figures import Figures, Phase, Record, Span, count
from benchmarks.isolation.load import HonestLoad
from benchmarks.isolation.network import Network
from benchmarks.isolation.target import (
    PASSWORD,
    USER_NAME,
    Target,
    jvm_daemon,
    our_daemon,
    pinned,
)
from pacemaker.sasl.digest import digest_secret
from pacemaker.sasl.secret import Secret

ORIGINS: Final = ("one", "sixteen", "own")
"""The attackers' addresses: one, 16, or the one address of all honest peers."""

_HONEST_ADDRESSES: Final = 100
_CALM_S: Final = 0.02
_LOOK_S: Final = 0.05
# Long enough for the honest peers to report their oldest request.
_SETTLE_S: Final = 0.5
_RELAY_BYTES: Final = 1_300_000
# The longest possible hold, so that misses are held throughout a trial.
_HOLD_S: Final = 100
# How long the attackers need to send the first halves of their frames.
_HALVES_S: Final = 1.5


@dataclass(frozen=True)
class Plan:
    """The length and size of a trial.

    Attributes:
        warm_up_s: the warm-up of the honest load.
        quiet_s: the quiet phase before the attack, and the one after it.
        attack_s: the length of the attack.
        recovery_s: how long to wait at most until all is as before.
        workers: the number of honest workers.
        period_s: the time between two pulses of a worker.
        share: the share of each attack's connections that is opened.
        has_control: whether the attackers first aim at another daemon.
        has_reload: whether the daemon is finally reloaded and stopped under attack.
        pause_s: the longest time for which the daemon is paused.
        io_threads: the number of the daemon's I/O threads; 0 for its own default.
    """

    warm_up_s: float = 1.0
    quiet_s: float = 2.0
    attack_s: float = 4.0
    recovery_s: float = 12.0
    workers: int = 1000
    period_s: float = 3.0
    share: float = 1.0
    has_control: bool = True
    has_reload: bool = True
    pause_s: float = 100.0
    io_threads: int = 0


@dataclass
class _Times:
    spans: dict[Phase, Span] = field(default_factory=dict)
    counted: list[dict[str, int]] = field(default_factory=list)
    reload_s: float | None = None
    stop_s: float | None = None


class Trial:
    """One attack, or several at once, on one daemon.

    Args:
        attacks: the attacks; all of them must need the same daemon.
        network: the network in which the trial runs.
        origin: one of `ORIGINS`.
        plan: the length and size of the trial.
        server: "ours" or "jvm".

    Attributes:
        daemon: the attack that sets the daemon's options.
    """

    def __init__(
        self,
        attacks: Sequence[Attack],
        network: Network,
        origin: str,
        plan: Plan,
        server: str = "ours",
    ) -> None:
        self._attacks = attacks
        self._network = network
        self._origin = origin
        self._plan = plan
        self._server = server
        cores = sorted(os.sched_getaffinity(0))
        self._core, self._others = {cores[0]}, set(cores[1:]) or {cores[0]}
        self._times = _Times()
        self.daemon = _merged(attacks)

    def run(self) -> Figures:
        """Run the trial; return its figures."""
        with ExitStack() as stack:
            # This process, too: it samples the daemon's memory meanwhile, and would
            # take time from the daemon's core for that.
            stack.enter_context(pinned(self._others))
            target = stack.enter_context(self._daemon(self._core))
            load = self._load(target)
            honest = stack.enter_context(honest_peers(load, self._others))
            time.sleep(self._plan.warm_up_s)
            self._phase(Phase.BEFORE, self._plan.quiet_s)
            if self._plan.has_control:
                # It ends before the attack: what the kernel keeps for its connections
                # would take memory from those of the attack.
                with self._daemon(self._others) as other:
                    self._attack(Phase.CONTROL, other)
                self._settle(honest)
            if self.pause_s:
                self._attack_paused(target, honest)
            else:
                self._attack(Phase.ATTACK, target, honest)
            self._phase(Phase.AFTER, self._plan.quiet_s)
            if self._plan.has_reload and target.is_ours and target.is_alive():
                records, resets = self._reload(target, honest)
            else:
                records, resets = honest.end()
            figures = count(records, self._times.spans)
            figures.resets = resets
            self._watch(figures, target)
            figures.is_alive = target.is_alive() or figures.stop_s is not None
        return figures

    @property
    def pause_s(self) -> float:
        """How long the daemon is paused."""
        return min(self._plan.pause_s, max(each.pause_s for each in self._attacks))

    def _daemon(self, cores: set[int]) -> AbstractContextManager[Target]:
        if self._server == "jvm":
            return jvm_daemon(cores)
        # Descriptors for workers, Nimbus and its like, new workers, and the daemon.
        honest = self._plan.workers + 60
        threads = self._plan.io_threads
        options = [f"--io-threads={threads}"] if threads else []
        return our_daemon(self.daemon, self._network, cores, honest, *options)

    def _load(self, target: Target) -> HonestLoad:
        is_own = self._origin == "own"
        secret = digest_secret(USER_NAME, Secret(PASSWORD)).reveal()
        return HonestLoad(
            self._network.server,
            target.port,
            self._network.honest(1 if is_own else _HONEST_ADDRESSES),
            workers=self._plan.workers,
            period_s=self._plan.period_s,
            large_bytes=_RELAY_BYTES if self.daemon.has_relay else 0,
            late_per_s=5.0 if self.daemon.hold_s and target.is_ours else 0.0,
            logins_per_s=1.0 if self.daemon.is_digest and target.is_ours else 0.0,
            secret=secret if self.daemon.is_digest and target.is_ours else "",
        )

    def _addresses(self) -> list[str]:
        if self._origin == "own":
            return self._network.honest(1)
        return self._network.hostile(16 if self._origin == "sixteen" else 1)

    def _phase(self, phase: Phase, seconds: float) -> None:
        began_s = time.monotonic()
        time.sleep(seconds)
        self._times.spans[phase] = Span(began_s, time.monotonic())

    def _attack(
        self, phase: Phase, target: Target, honest: HonestProcess | None = None
    ) -> None:
        """Attack for a phase; then let the honest peers settle, if they are given."""
        with self._attackers(target) as processes:
            self._phase(phase, self._plan.attack_s)
            for process in processes:
                process.stop_sending()
            if honest is not None:
                self._settle(honest)
        self._times.counted = [process.counted for process in processes]

    def _attack_paused(self, target: Target, honest: HonestProcess) -> None:
        """Pause the daemon while the attackers send the rest of their frames."""
        with self._attackers(target) as processes:
            time.sleep(_HALVES_S)
            os.kill(target.pid, signal.SIGSTOP)
            try:
                for process in processes:
                    process.go_on()
                self._phase(Phase.ATTACK, self.pause_s)
            finally:
                os.kill(target.pid, signal.SIGCONT)
            self._settle(honest)
        self._times.counted = [process.counted for process in processes]

    def _attackers(self, target: Target) -> AbstractContextManager[list[AttackProcess]]:
        server = (self._network.server, target.port)
        return attackers(
            self._attacks, server, self._addresses(), self._others, self._plan.share
        )

    def _settle(self, honest: HonestProcess) -> None:
        """Wait until no honest request waits for long, or until the time is up."""
        time.sleep(min(_SETTLE_S, self._plan.attack_s / 4))
        deadline_s = time.monotonic() + self._plan.recovery_s
        while honest.oldest_s > _CALM_S and time.monotonic() < deadline_s:
            time.sleep(_LOOK_S)

    def _reload(
        self, target: Target, honest: HonestProcess
    ) -> tuple[list[Record], int]:
        """Reload and stop the daemon while it is attacked again."""
        began_s = time.monotonic()
        with self._attackers(target):
            time.sleep(self._plan.attack_s / 4)
            self._times.reload_s = target.reload_s()
            self._times.spans[Phase.RELOAD] = Span(began_s, time.monotonic())
            outcome = honest.end()
            if target.is_alive():
                self._times.stop_s = target.stop_s()
        return outcome

    def _watch(self, figures: Figures, target: Target) -> None:
        attack = self._times.spans[Phase.ATTACK]
        after = self._times.spans[Phase.AFTER]
        figures.resident_bytes = target.most_resident_bytes(attack.from_s, after.to_s)
        figures.unfed_s = target.longest_unfed_s(attack.from_s, after.to_s)
        figures.fed = target.times_fed(attack.from_s, after.to_s)
        figures.reload_s, figures.stop_s = self._times.reload_s, self._times.stop_s
        ended = sum(each["ended"] for each in self._times.counted)
        figures.ended_per_s = ended / (attack.to_s - attack.from_s)
        figures.received_bytes = sum(
            each["received_bytes"] for each in self._times.counted
        )


def _merged(attacks: Sequence[Attack]) -> Attack:
    """Return an attack with the daemon's options for several attacks at once."""
    first = attacks[0]
    if len(attacks) == 1:
        return first
    return replace(first, name="all", has_relay=True, hold_s=_HOLD_S)
