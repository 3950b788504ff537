"""The daemon's admin endpoint, and what its pages answer in each stage of the daemon.

It begins to listen before the daemon opens its port, and ends after the daemon has
stopped serving, so that `/readyz` answers all that time.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from pacemaker.admin import listener as admin_listener
from pacemaker.admin.exposition import metrics_page, no_metrics_page
from pacemaker.admin.health import HealthCheck
from pacemaker.admin.progress import Progress
from pacemaker.admin.routes import (
    JSON,
    NOT_FOUND,
    OK,
    UNAVAILABLE,
    HttpResponse,
    Page,
    Query,
    Routes,
    health_response,
    text_response,
)
from pacemaker.call_soon import CallSoon
from pacemaker.errors import how_to_install
from pacemaker.server.measurements import Measurements
from pacemaker.server.options import AdminOptions
from pacemaker.server.process.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from pacemaker.admin.server import AdminServer

_logger: Final = logging.getLogger(__name__)


class DaemonStage(Enum):
    """The stages of the daemon's life."""

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


class Inspectable(Protocol):
    """A daemon whose figures and history can be read; `Daemon` implements it."""

    address: str

    def measurements(self) -> Measurements:
        """Return what the daemon counts.  Any thread may call this."""

    def traffic(self) -> tuple[int, int]:
        """Return how many pulses and how many reads there have been so far."""

    def history_slices(self, topology: str) -> Iterator[bytes] | None:
        """Return the page of the history in slices; None if it is off."""

    def thread_calls(self) -> Mapping[str, CallSoon]:
        """Return by name the `call` of each thread that must make progress."""


class AdminEndpoint:
    """The endpoint of one daemon.  Only the main thread calls its methods.

    Args:
        options: the address and who may read; None for no endpoint at all.
        is_gated: whether reads of heartbeats need authentication.
        listener_fd: the descriptor of the listening socket from before an upgrade,
            which keeps its address; -1 if there is none.
        upgrades: how many upgrades this process has had.
        clock: returns monotonic seconds.

    Raises:
        ListenError: it cannot listen on its address.
        StartError: its thread cannot be started.
    """

    def __init__(
        self,
        options: AdminOptions | None,
        is_gated: bool = False,
        listener_fd: int = -1,
        upgrades: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._stage = DaemonStage.STARTING
        self._daemon: Inspectable | None = None
        self._progress = Progress({}, clock)
        self.upgrades = upgrades
        self._refused_upgrades = 0
        self._traffic = (0, 0)
        self._last_pulse_s = self._last_read_s = 0.0
        self._server: AdminServer | None = None
        self._listener: socket.socket | None = None
        if options is None:
            if listener_fd >= 0:
                # Its key is no longer in storm.yaml.
                admin_listener.release_listener(
                    admin_listener.adopt_listener(listener_fd)
                )
            return
        if listener_fd >= 0:
            self._listener = admin_listener.adopt_listener(listener_fd)
        else:
            self._listener = admin_listener.listen(options.address)
        names = {name.lower() for name in (*options.hosts, options.address.host)}
        routes = Routes(self._pages(), names, is_gated, options.token)
        # Only a daemon that has an endpoint needs its HTTP server, which takes 0.7 MiB.
        from pacemaker.admin.server import AdminServer

        self._server = AdminServer(self._listener, routes.answer)
        try:
            start_thread(self._server)
        except BaseException:
            self.close()
            raise
        _logger.info("admin endpoint on %s", self.address)

    @property
    def listener_fd(self) -> int:
        """The descriptor of the listening socket; -1 if there is no endpoint."""
        return -1 if self._listener is None else self._listener.fileno()

    @property
    def address(self) -> str | None:
        """The address of the endpoint, as ``--admin`` has it; None for no endpoint."""
        return (
            None
            if self._listener is None
            else str(admin_listener.address_of(self._listener))
        )

    def announce_serving(self, daemon: Inspectable) -> None:
        """Answer for a daemon that serves from now on."""
        self._daemon = daemon
        self._progress = Progress(daemon.thread_calls(), self._clock)
        self._stage = DaemonStage.SERVING

    def check_threads(self) -> None:
        """Ask all threads for a sign of life; note whether there was traffic."""
        if self._server is None or self._daemon is None:
            return
        self._progress.ask()
        pulses, reads = self._daemon.traffic()
        # These times are only as exact as the main thread's turns.  Reading the clock
        # for each pulse would cost more than the counters do.
        if pulses != self._traffic[0]:
            self._last_pulse_s = time.time()
        if reads != self._traffic[1]:
            self._last_read_s = time.time()
        self._traffic = (pulses, reads)

    def note_refused_upgrade(self) -> None:
        """Count an upgrade that was refused."""
        self._refused_upgrades += 1

    def announce_stopping(self) -> None:
        """Answer from now on that the daemon is not ready."""
        self._stage = DaemonStage.STOPPING

    def close(self) -> None:
        """End the endpoint.  It may be called again."""
        if self._server is not None and self._listener is not None:
            self._server.stop()
            admin_listener.release_listener(self._listener)
            self._server = self._listener = None

    # The methods below run on the endpoint's own threads.

    def _pages(self) -> dict[str, Page]:
        try:
            # Import it now: at the first scrape, the files on the disk may already
            # belong to another version.
            from pacemaker.server.metrics import families

            metrics = metrics_page(lambda: self._collect(families))
            metrics = Page(self._only_when_started(metrics.show))
        except ImportError:
            metrics = no_metrics_page()
            _logger.warning(
                "/metrics of the admin endpoint needs prometheus-client: %s",
                how_to_install("metrics"),
            )
        return {
            "/livez": Page(lambda query: health_response(query, self._live_checks())),
            "/readyz": Page(lambda query: health_response(query, self._ready_checks())),
            "/metrics": metrics,
            "/history": Page(self._only_when_started(self._history), is_gated=True),
        }

    def _history(self, query: Query) -> HttpResponse:
        assert self._daemon is not None  # noqa: S101  (see `_only_when_started`)
        slices = self._daemon.history_slices(query.get("topology", ""))
        if slices is None:
            return text_response(NOT_FOUND, "the history is off (--no-history)")
        return HttpResponse(OK, JSON, slices)

    def _only_when_started(
        self, show: Callable[[Query], HttpResponse]
    ) -> Callable[[Query], HttpResponse]:
        def wrapped(query: Query) -> HttpResponse:
            if self._daemon is None:
                return text_response(UNAVAILABLE, "the daemon is starting")
            return show(query)

        return wrapped

    def _collect(
        self, families: Callable[[Measurements], Iterable[Metric]]
    ) -> Iterable[Metric]:
        assert self._daemon is not None  # noqa: S101  (see `_only_when_started`)
        measured = self._daemon.measurements()._replace(
            last_pulse_s=self._last_pulse_s,
            last_read_s=self._last_read_s,
            upgrades=self.upgrades,
            refused_upgrades=self._refused_upgrades,
        )
        return families(measured)

    def _live_checks(self) -> list[HealthCheck]:
        """Whether the process makes progress; a supervisor may restart it if not.

        During a start the check always passes, because restoring many heartbeats may
        take long.
        """
        if self._stage is DaemonStage.STARTING:
            return [HealthCheck("main", True, self._stage.value)]
        # The main thread turns once a second.  If it does not, nobody asks the others,
        # and all of their answers grow old.
        return self._progress.checks()

    def _ready_checks(self) -> list[HealthCheck]:
        """Whether workers and Nimbus are served."""
        is_serving = self._stage is DaemonStage.SERVING
        detail = self._stage.value
        if is_serving and self._daemon is not None:
            detail = f"on {self._daemon.address}"
        return [HealthCheck("serving", is_serving, detail), *self._live_checks()]
