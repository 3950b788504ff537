"""What an I/O thread is made with: its clocks, and what it shares with the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pacemaker.core.accounts.account import DEFAULT_LIMITS, Account, AddressLimits
from pacemaker.core.accounts.registry import AccountRegistry
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.server.io.buffers.buffer_budget import BufferBudget
from pacemaker.server.io.connection import Connection
from pacemaker.server.io.sasl_steps import SaslStepRunner
from pacemaker.server.process.clocks import boot_time_s

# Makes the protocol object of a new connection from its peer's name and account.
ProtocolFactory: TypeAlias = Callable[[str, Account], ServerProtocol]


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What all I/O threads of a daemon share.

    Attributes:
        budget: limits the bytes that all connections of all threads hold.
        steps: runs the SASL steps.
        accounts: the accounts of the peers.
        address_limits: the limits of one account.
    """

    budget: BufferBudget[Connection]
    steps: SaslStepRunner
    accounts: AccountRegistry
    address_limits: AddressLimits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks that an I/O thread reads.

    Attributes:
        monotonic_s: returns monotonic seconds.
        boot_s: the same, but it runs on while the machine is suspended, and the process
            after an upgrade can compare its own readings with these.
        thread_cpu_s: returns the CPU time of the calling thread in seconds.
    """

    monotonic_s: Callable[[], float] = time.monotonic
    boot_s: Callable[[], float] = boot_time_s
    thread_cpu_s: Callable[[], float] = time.thread_time
