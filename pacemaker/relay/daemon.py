"""The relay's daemon: the server of `serve`, in front of the links."""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Final

from pacemaker.call_soon import CallSoon
from pacemaker.config import Settings
from pacemaker.core.accounts.account import Account
from pacemaker.core.figures import Figures
from pacemaker.core.history.record import TurnTime
from pacemaker.core.protocol.dispatch import Dispatcher
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.errors import StartError, StateError
from pacemaker.relay import relay_state
from pacemaker.relay.backend import RelayBackend, ThreadRequests
from pacemaker.relay.inbox import Inbox
from pacemaker.relay.links_thread import LinksThread
from pacemaker.relay.own_addresses import refuse_itself
from pacemaker.relay.upstreams import Upstreams
from pacemaker.sasl.mechanism import MechanismFactory
from pacemaker.server.daemon import Daemon
from pacemaker.server.io.io_thread_parts import ProtocolFactory
from pacemaker.server.measurements import Measurements
from pacemaker.server.options import ServerOptions
from pacemaker.server.process.threads import join_thread, start_thread
from pacemaker.server.upgrade_state import DaemonState

_logger: Final = logging.getLogger(__name__)

# The writer of keys whose connections an upgrade could not carry over.
_LOST_WRITER: Final = "lost writer"


class RelayDaemon(Daemon):
    """A relay that serves from `start` to the end of `stop`.

    Args:
        upstreams: the Pacemakers.
        settings: Storm's configuration.
        options: the other options.
        mechanism_factory: makes the SASL mechanism of a connection; None if nobody
            has to authenticate.
        listeners: see `Daemon`.
    """

    is_relay = True

    def __init__(
        self,
        upstreams: Upstreams,
        settings: Settings,
        options: ServerOptions,
        mechanism_factory: MechanismFactory | None = None,
        listeners: Sequence[socket.socket] | None = None,
    ) -> None:
        # Set first: `Daemon` creates the I/O threads, and calls `protocol_factory` for
        # each, which needs these.
        self._upstreams = upstreams
        self._thread_requests: list[ThreadRequests] = []
        self._links: LinksThread | None = None
        super().__init__(settings, options, mechanism_factory, listeners)
        for requests, thread in zip(self._thread_requests, self.threads, strict=True):
            requests.call = thread.call
        # After an upgrade: the keys that each connection had written, by its name.
        self._keys_by_peer: dict[str, list[str]] = {}
        # Whether this process has taken over from a relay before an upgrade.
        self._is_restored = False

    @property
    def links(self) -> LinksThread:
        """The links to the Pacemakers."""
        if self._links is None:
            self._links = LinksThread(
                self._upstreams.addresses,
                partial(Inbox, self.store),
                uuid.uuid4().hex,
                self.settings.message_size_max_bytes,
                self._upstreams.mechanism_factory,
            )
        return self._links

    def protocol_factory(
        self, figures: Figures, turn_time: TurnTime
    ) -> ProtocolFactory:
        """Return what makes the protocol objects of one I/O thread's connections."""
        requests = ThreadRequests(
            self.links.inbox, self.links.relay_id, self.address_limits.held_read_bytes
        )
        self._thread_requests.append(requests)
        return partial(self._make_relay_protocol, requests, figures, turn_time)

    def _make_relay_protocol(
        self,
        requests: ThreadRequests,
        figures: Figures,
        turn_time: TurnTime,
        name: str,
        account: Account,
    ) -> ServerProtocol:
        backend = RelayBackend(requests, account, name)
        for key in self._keys_by_peer.pop(name, ()):
            self.links.inbox.restore(key, backend)
        max_body_bytes = self.settings.message_size_max_bytes
        dispatcher = Dispatcher(
            backend, figures, max_body_bytes, self.history, turn_time
        )
        return self.make_protocol(dispatcher, backend, name, account)

    def held_reads(self) -> Sequence[ThreadRequests]:
        """Return what each I/O thread counts of the requests that wait."""
        return self._thread_requests

    def thread_calls(self) -> dict[str, CallSoon]:
        """Return by name the `call` of each thread that must make progress."""
        return {**super().thread_calls(), "links": self.links.call}

    def measurements(self) -> Measurements:
        """Return what the daemon counts, with the figures of each Pacemaker."""
        return super().measurements()._replace(pacemakers=self.links.measurements())

    def extra_log_lines(self) -> list[str]:
        """Return a line that says which Pacemakers are up and what waits for each."""
        return [self.links.describe()]

    def extra_state(self) -> bytes:
        """Return the relay's own part of the state.  All threads must be parked."""
        self.links.process_events()
        return relay_state.encode(relay_state.collect(self.links))

    def restore(self, state: DaemonState, ahead_s: float) -> None:
        """Restore, before `start`, the state from before an upgrade."""
        try:
            restored = relay_state.decode(state.extra)
        except StateError as exc:
            # The workers' next heartbeats tell which connection writes which key.
            _logger.error(
                "continuing without the relay's state from before the upgrade: %s", exc
            )
            restored = relay_state.RelayState()
        relay_state.restore(restored, self.links)
        self._is_restored = True
        self._keys_by_peer = {
            name: keys for name, keys in restored.keys_by_peer.items() if keys
        }
        super().restore(state, ahead_s)
        # Each adopted connection claims the keys that it had written.  A key that no
        # connection claims has no worker any more.
        for key, _ in self.store.items():
            self.links.inbox.restore(key, _LOST_WRITER)
        self.links.inbox.writer_left(_LOST_WRITER)

    def start(self) -> None:
        """Start serving.

        Raises:
            ConfigError: one of the Pacemakers is this relay itself.
            StartError: a thread cannot be started; everything is closed again.
        """
        # After an upgrade, the process before this one has checked it, and looking up
        # the names would keep all clients waiting.
        if not self._is_restored:
            refuse_itself(self._upstreams.addresses, self.addresses)
        super().start()
        # The trial of an upgrade has no listener, and must not reach a Pacemaker.
        if self.listener_fds:
            self.links.open_pulses()
        try:
            start_thread(self.links)
        except StartError:
            self.begin_stop(0.0)
            self.close()
            raise
        names = ", ".join(map(str, self._upstreams.addresses))
        _logger.info("relaying to %s", names)

    def close(self) -> None:
        """Wait for the stop, then close every descriptor."""
        # The links end after the I/O threads, to pass on what those still accepted.
        super().close()
        self.links.stop()
        join_thread(self.links)
        self.links.close()
