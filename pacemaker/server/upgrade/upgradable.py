"""What an upgrade asks of the daemon; `pacemaker.server.daemon.Daemon` is it.

With this, `upgrade/` does not import the daemon, and the daemon does not import
`upgrade/`; `pacemaker.server.run` passes one to the other.
"""

from __future__ import annotations

from typing import Protocol

from pacemaker.core.carried_over import ConnectionState, State
from pacemaker.core.store import Store
from pacemaker.server.process.barrier import Barrier


class Upgradable(Protocol):
    """A daemon whose state can be written out, and restored in a new process."""

    store: Store
    hold_until_s: float

    @property
    def listener_fds(self) -> list[int]:
        """The descriptors of the listening sockets."""

    @property
    def held_bytes(self) -> int:
        """About what a second copy of all that is held would take."""

    def sample(self) -> list[tuple[str, bytes]]:
        """Return a few heartbeats, for the trial."""

    def park(self, barrier: Barrier, deadline_s: float) -> None:
        """Have every thread that serves stand still, until the barrier is released.

        Raises:
            UpgradeError: they do not in time.
        """

    def gather(self, barrier: Barrier, deadline_s: float) -> bool:
        """Have the I/O threads alone stand still; False where they do not in time."""

    def connection_states(self, ahead_s: float) -> tuple[list[ConnectionState], int]:
        """Write out the connections, and say how many can only be reset.

        Args:
            ahead_s: by how much the clock of the state is ahead of the daemon's.
        """

    def restore(self, state: State, ahead_s: float) -> None:
        """Go on from a state, before the daemon serves."""
