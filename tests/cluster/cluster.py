"""A whole Storm cluster on this machine, started and stopped by the tests.

It has ZooKeeper, Nimbus, two supervisors with free slots and one or two Pacemakers, on
addresses and ports of its own, so that clusters can run side by side.  Whatever
happens, `close` leaves no process, no port and no file behind.  If a test has failed,
the output of every part is kept before that.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.cluster import homes, processes
from tests.cluster.commands import Commands
from tests.cluster.hosts import Host, Namespace
from tests.cluster.nimbus import Operator, Slot
from tests.cluster.pacemakers import Kind, Pacemaker
from tests.cluster.ports import Ports, is_listening
from tests.cluster.reaper import Reaper
from tests.cluster.relays import FIRST_ADDRESS, Relay
from tests.cluster.releases import release as facts_of
from tests.cluster.storm_daemon import StormDaemon
from tests.cluster.waiting import wait_until
from tests.real.child import Child
from tests.real.zookeeper import ZooKeeper

SERVERS = "pacemaker.servers"
SUPERVISORS = 2
SLOTS = 6
"""Of each supervisor: one alone has room for all workers."""

UP_TIMEOUT_S = 240
"""For a daemon, or workers, to be up, on a machine that is busy."""

TASK_TIMEOUT_S = 30
"""`nimbus.task.timeout.secs`: how long Nimbus waits for another heartbeat."""

LAUNCH_S = 10
"""`nimbus.task.launch.secs`: before that age an executor counts as alive."""

ROUND_S = 10
"""`nimbus.monitor.freq.secs`: how often Nimbus begins a round of scheduling."""

ROUND_BEGINS = "Updating heartbeats for "
NOT_ALIVE = re.compile(r"Executor (\S+):\[(\d+)[, ]+(\d+)\] not alive")


class Setup(NamedTuple):
    """What kind of cluster it is.

    Attributes:
        release: of Storm.
        workers: of its topology.
        kind: whose Pacemakers it has.
        settings: further keys of its storm.yaml.
        options: further options of the JVMs that read heartbeats.
        serve_options: further options of our Pacemakers.
        nimbus_line_pause_s: how long Nimbus waits for each line of its log.
        has_relays: whether Storm's clients talk to a relay on each host.
        relay_admin_port: of the relays' admin endpoints; None for no endpoint.
        far_host: where the last supervisor runs; None for this host.
    """

    release: str
    workers: int = 4
    kind: Kind = Kind.OURS
    settings: Mapping[str, object] = {}
    options: tuple[str, ...] = ()
    serve_options: tuple[str, ...] = ()
    nimbus_line_pause_s: float = 0
    has_relays: bool = False
    relay_admin_port: int | None = None
    far_host: Namespace | None = None

    @property
    def address(self) -> str:
        """Where all runs that does not run on the far host."""
        return "127.0.0.1" if self.far_host is None else self.far_host.near_address


class Placement(NamedTuple):
    """Where a topology runs: what must be as before where nothing moved.

    Attributes:
        slots: supervisor, port and start of each executor.
        pids: of the workers by port.
    """

    slots: Mapping[str, Slot]
    pids: Mapping[int, int]

    @property
    def workers(self) -> set[str]:
        """The names of the workers, as their heartbeats have them."""
        return {slot.worker for slot in self.slots.values()}

    def moved_from(self, before: Placement) -> set[str]:
        """Return the executors that have been assigned since, anew or elsewhere."""
        return {
            name for name, slot in before.slots.items() if self.slots.get(name) != slot
        }


class Cluster:
    """A running cluster with the topology "words".

    Args:
        setup: what kind of cluster.
        hosts: where its Pacemakers run.

    Attributes:
        topology_id: of "words".
        pacemakers: one for each host.
        relays: those of Nimbus and of each supervisor, by the names of their homes.
        supervisors: the processes.
        operator: asks Nimbus.
        commands: our own, with the cluster's configuration.
    """

    def __init__(self, setup: Setup, hosts: Sequence[Host]) -> None:
        self.setup = setup
        self._parts = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix=f"storm-{setup.release}-"))
        places = [*hosts, setup.far_host]
        namespaces = [host.name for host in places if isinstance(host, Namespace)]
        self._parts.callback(Reaper(self.folder, namespaces).close)
        self._parts.callback(shutil.rmtree, self.folder)
        self._ports = Ports()
        self._parts.callback(self._ports.close)
        for host in hosts:
            self._parts.callback(host.close)
        self._release = facts_of(setup.release, self.folder, setup.address)
        self._output: dict[str, list[Child]] = {}
        self._slots: dict[int, set[int]] = {}
        self.relays: dict[str, Relay] = {}
        self.topology_id = ""
        with self._closed_on_failure():
            self._start(hosts)

    def _start(self, hosts: Sequence[Host]) -> None:
        zookeeper_port, nimbus_port, pacemaker_port = self._ports.take(3)
        zookeeper_folder = self.folder / "zookeeper"
        zookeeper_folder.mkdir()
        address = self.setup.address
        zookeeper = ZooKeeper(zookeeper_folder, zookeeper_port, address=address)
        self._keep("zookeeper", zookeeper)
        is_far = self.setup.far_host is not None
        self._settings = {
            "storm.zookeeper.servers": [address if is_far else "localhost"],
            "storm.local.hostname": address,
            "nimbus.seeds": [address],
            "storm.zookeeper.port": zookeeper_port,
            "nimbus.thrift.port": nimbus_port,
            ("pacemaker.relay.servers" if self.setup.has_relays else SERVERS): [
                host.address for host in hosts
            ],
            "pacemaker.port": pacemaker_port,
            **self.setup.settings,
        }
        home = self._home("nimbus", {})
        self.pacemakers = [
            Pacemaker(
                home, self._release, host, pacemaker_port, self.setup.serve_options
            )
            for host in hosts
        ]
        for pacemaker in self.pacemakers:
            self._parts.callback(pacemaker.stop)
            pacemaker.keep_port(self.setup.kind is Kind.OURS)
            pacemaker.kind = self.setup.kind
            pacemaker.start()
        self._nimbuses = [self._nimbus(home)]
        self.supervisors = [self._supervisor(n) for n in range(SUPERVISORS)]
        self.operator = Operator(home, self._release, self.setup.options)
        self._keep("operator", self.operator.child)
        self.commands = Commands(home)
        wait_until("all supervisors", self._all_supervisors, UP_TIMEOUT_S)

    def _all_supervisors(self) -> bool:
        self.supervise_nimbus()
        return len(self.operator.supervisors()) == SUPERVISORS

    def _home(
        self, name: str, settings: Mapping[str, object], host: Host | None = None
    ) -> Path:
        path = self.folder / name
        if not self.setup.has_relays:
            return homes.make_home(path, self._release, {**self._settings, **settings})
        # In a real cluster this is "localhost" everywhere; here all hosts are one.
        if host is None:
            host = Host(str(ipaddress.ip_address(FIRST_ADDRESS) + len(self.relays)))
        servers = {**self._settings, SERVERS: [host.address], **settings}
        home = homes.make_home(path, self._release, servers)
        if any(relay.address[0] == host.address for relay in self.relays.values()):
            return home
        port, admin_port = self._settings["pacemaker.port"], self.setup.relay_admin_port
        assert isinstance(port, int)
        admin = f"{host.address}:{admin_port}"
        options = () if admin_port is None else ("--admin", admin)
        relay = self.relays[name] = Relay(home, host, port, options)
        self._parts.callback(relay.stop)
        relay.keep_port()
        relay.start()
        return home

    def _nimbus(self, home: Path) -> Child:
        options, pause_s = self.setup.options, self.setup.nimbus_line_pause_s
        return self._daemon(home, self._release.nimbus, options, pause_s)

    def _supervisor(self, number: int) -> Child:
        thrift_port, *slots = self._ports.take(1 + SLOTS)
        self._slots[number] = set(slots)
        settings = {
            "supervisor.slots.ports": slots,
            "supervisor.thrift.port": thrift_port,
        }
        return self._new_supervisor(
            f"supervisor-{number}", settings, self._host_of(number)
        )

    def _host_of(self, number: int) -> Host | None:
        """Return the far host for the last supervisor; None for this host."""
        return self.setup.far_host if number == SUPERVISORS - 1 else None

    def _new_supervisor(
        self,
        name: str,
        settings: Mapping[str, object],
        host: Host | None,
        copied: Path | None = None,
    ) -> Child:
        """Start a supervisor, with the state of another one if there is a copy."""
        if host is not None:
            settings = {**settings, "storm.local.hostname": host.address}
        home = self._home(name, settings, host)
        if copied is not None:
            shutil.copytree(
                copied / "local",
                home / "local",
                ignore=shutil.ignore_patterns("workers*"),
            )
        # Its workers end after it, which would start them again.
        self._parts.callback(processes.kill_all, home)
        prefix = () if host is None else host.prefix
        return self._daemon(home, self._release.supervisor, prefix=prefix)

    @contextlib.contextmanager
    def copied_supervisor(self) -> Iterator[None]:
        """Run a copy of the first supervisor on the far host.

        It has the id of the original and its slots, as after a copy of
        `storm.local.dir`.
        """
        original = self.folder / "supervisor-0"
        conf = json.loads((original / "conf" / "storm.yaml").read_text())
        keys = ("supervisor.slots.ports", "supervisor.thrift.port")
        name = f"copy-{len(self._output)}"
        child = self._new_supervisor(
            name, {key: conf[key] for key in keys}, self.setup.far_host, original
        )
        try:
            yield
        finally:
            child.signal(signal.SIGKILL)
            child.wait()
            processes.kill_all(self.folder / name)

    def _daemon(
        self,
        home: Path,
        main_class: str,
        options: Sequence[str] = (),
        line_pause_s: float = 0,
        prefix: Sequence[str] = (),
    ) -> Child:
        child = StormDaemon(
            home,
            self._release,
            main_class,
            prefix=prefix,
            options=options,
            line_pause_s=line_pause_s,
        )
        self._keep(home.name, child)
        return child

    def _keep(self, name: str, child: Child) -> None:
        self._output.setdefault(name, []).append(child)
        self._parts.callback(child.stop)

    def submit(self) -> None:
        """Submit "words", and wait until it has settled."""
        self.topology_id = self.submit_another("words", self.setup.workers)
        self.settle()

    def submit_another(self, name: str, workers: int) -> str:
        """Submit a topology like "words", and return its id."""
        return self.submit_by(name, lambda: self.operator.submit(name, workers))

    def submit_by(self, name: str, submit: Callable[[], None]) -> str:
        """Submit a topology by a call, and return its id."""

        def submitted() -> str | None:
            self.supervise_nimbus()
            if name not in self.operator.topology_ids():
                submit()
            return self.operator.topology_ids().get(name)

        return wait_until(f"the topology {name}", submitted, UP_TIMEOUT_S)

    def settle(self) -> None:
        """Wait until all executors beat at Nimbus and are older than it lets pass."""
        wait_until("all executors settled", self._settled, UP_TIMEOUT_S)

    def _settled(self) -> bool:
        self.supervise_nimbus()
        placement = self.placement()
        uptimes_s = self.operator.uptimes_s(self.topology_id)
        newest_s = max((slot.started_s for slot in placement.slots.values()), default=0)
        assert len(placement.slots) == 2 * self.setup.workers, placement
        assert uptimes_s.keys() == placement.slots.keys(), uptimes_s
        assert {slot.port for slot in placement.slots.values()} <= placement.pids.keys()
        return time.time() > newest_s + LAUNCH_S + 2

    def placement(self) -> Placement:
        """Return where the topology runs now."""
        slots = self.operator.assignment(self.topology_id)
        return Placement(slots, self.worker_pids())

    def worker_pids(self) -> dict[int, int]:
        """Return the processes of the workers by their ports."""
        logs = f"supervisor-*/logs/workers-artifacts/{self.topology_id}/*/worker.pid"
        return {
            int(file.parent.name): int(pid)
            for file in self.folder.glob(logs)
            if (pid := file.read_text().strip()) and Path("/proc", pid).exists()
        }

    def kill_supervisor(self) -> set[int]:
        """Kill the busier supervisor and its workers, as when their host dies.

        Returns:
            The ports of its slots.

        """
        used = self.worker_pids().keys()
        number = max(self._slots, key=lambda number: len(self._slots[number] & used))
        child = self.supervisors[number]
        child.signal(signal.SIGKILL)
        child.wait()
        processes.kill_all(self.folder / f"supervisor-{number}")
        return self._slots[number]

    def repair(self) -> None:
        """Start what is missing, and wait until the cluster has settled."""
        for pacemaker in self.pacemakers:
            if not pacemaker.running:
                pacemaker.kind = self.setup.kind
                pacemaker.start()
        for relay in self.relays.values():
            relay.repair()
        for number, supervisor in enumerate(self.supervisors):
            if not supervisor.running():
                host = self._host_of(number)
                self.supervisors[number] = self._daemon(
                    self.folder / f"supervisor-{number}",
                    self._release.supervisor,
                    prefix=() if host is None else host.prefix,
                )
        self.settle()

    @property
    def nimbus_pid(self) -> int:
        """The process id of Nimbus."""
        return self._nimbuses[-1].pid

    def ports_of_supervisor(self, number: int) -> set[int]:
        """Return the ports of a supervisor's slots."""
        return set(self._slots[number])

    @property
    def is_1x(self) -> bool:
        """Whether it is a cluster of Storm 1.x."""
        return self._release.is_1x

    @property
    def nimbus_ends(self) -> int:
        """How often Nimbus has ended itself, and was started again."""
        return len(self._nimbuses) - 1

    def supervise_nimbus(self) -> None:
        """Start Nimbus again where it has ended itself, as users let it be done."""
        if not self._nimbuses[-1].running():
            self._nimbuses.append(self._nimbus(self.folder / "nimbus"))

    def nimbus_log(self) -> list[str]:
        """Return Nimbus' log so far."""
        return [line for nimbus in self._nimbuses for line in nimbus.stdout.all()]

    def wait_for_round(self) -> None:
        """Wait until Nimbus has begun, and ended, a round from now on."""
        begun = len(self.round_starts())

        def passed() -> bool:
            self.supervise_nimbus()
            return len(self.round_starts()) > begun + 1

        wait_until("a whole round of Nimbus", passed, UP_TIMEOUT_S)

    def wait_for_place(self, place_s: float) -> None:
        """Wait until the round of Nimbus that runs is so many seconds old."""
        wait_until("a round of Nimbus", self.round_starts, UP_TIMEOUT_S)
        age_s = time.time() - self.round_starts()[-1]
        time.sleep((place_s - age_s) % ROUND_S)

    def round_starts(self, from_line: int = 0) -> list[float]:
        """Return when Nimbus has begun to read the heartbeats (seconds since ...)."""
        mark = ROUND_BEGINS + self.topology_id
        return [
            _stamp_s(line) for line in self.nimbus_log()[from_line:] if mark in line
        ]

    def not_alive(self, from_line: int) -> list[tuple[str, float]]:
        """Return the executors that Nimbus called dead, and when, once for each time.

        They are those of the topology; when is in seconds since the epoch.
        """
        return [
            (f"{match[2]}-{match[3]}", _stamp_s(line))
            for line in self.nimbus_log()[from_line:]
            if (match := NOT_ALIVE.search(line)) and match[1] == self.topology_id
        ]

    def output(self) -> dict[str, list[str]]:
        """Return what each process has written, by its name."""
        parts = dict(self._output)
        for number, pacemaker in enumerate(self.pacemakers):
            parts[f"pacemaker-{number}"] = pacemaker.children
        for name, relay in self.relays.items():
            parts[f"relay-{name}"] = relay.children
        return {
            name: [line for child in children for line in _lines(child)]
            for name, children in parts.items()
        }

    def keep_logs(self, folder: Path) -> None:
        """Write the output of all parts, and the workers' logs, to a folder."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, lines in self.output().items():
            (folder / f"{name}.log").write_text("\n".join(lines) + "\n")
        for home in self.folder.glob("supervisor-*"):
            artifacts = home / "logs" / "workers-artifacts"
            if artifacts.exists():
                shutil.copytree(artifacts, folder / f"{home.name}-workers")

    def close(self) -> None:
        """Take everything down, and check that nothing is left."""
        self._parts.close()
        assert not self.folder.exists()
        assert not processes.pids_of(self.folder)
        left = [port for port in self._ports.taken if is_listening(port)]
        assert not left, f"ports still listening: {left}"

    @contextlib.contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._parts.close()
            raise

    def __enter__(self) -> Cluster:
        """Return the cluster itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take it down."""
        self.close()


def _lines(child: Child) -> list[str]:
    return [*child.stdout.all(), *child.stderr.all()]


def _stamp_s(line: str) -> float:
    stamp, millis = line.split(" ", 1)[0].split(".")
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")) + int(millis) / 1000
