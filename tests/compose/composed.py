"""The cluster of docker-compose.yml, watched from outside and in.

Storm's own client, in a separate container, asks Nimbus for its view.  Our command, in
a Pacemaker's container, lists the heartbeats.  The tests add two files to the compose
file: a storm.yaml with a short `nimbus.task.launch.secs`, and a configuration of
Nimbus's log that shows when it reads the heartbeats.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import tempfile
import time
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.cluster.heartbeats import PERIOD_S
from tests.cluster.homes import APPENDERS, LOG4J2, TEST_SETTINGS
from tests.cluster.nimbus import SOURCES, Operator, Slot
from tests.cluster.waiting import wait_until
from tests.compose.engine import Project, docker, succeeds
from tests.compose.images import STORM_IMAGE
from tests.real.child import Child
from tests.real.jvm import NEWEST_RELEASE, ROOT, compile_java, storm_classpath

STORM_YAML = ROOT / "docker" / "storm.yaml"
STORM_SERVICES = ("nimbus", "supervisor-1", "supervisor-2", "topology")
PACEMAKERS = ("pacemaker-1", "pacemaker-2")
SUPERVISORS = ("supervisor-1", "supervisor-2")

KEPT_LOGS = ROOT / "build" / "compose-logs"

WORKERS = 4
"""Of the topology that the compose file submits."""

UP_TIMEOUT_S = 420
"""For anything to be there, on a machine that is busy."""

TAKEN_OVER = (
    "nimbus.topology.blobstore.deletion.delay.ms",
    "topology.batch.flush.interval.millis",
    "topology.bolt.wait.strategy",
    "topology.bolt.wait.park.microsec",
    "blacklist.scheduler.tolerance.count",
)
"""Settings of the clusters without containers that are wanted here too."""

LAUNCH_S = 60
"""`nimbus.task.launch.secs`: before that age an executor counts as alive.

Else 120; with much less, workers that start slowly are assigned anew at once.
"""

ROUND_BEGINS = "Updating heartbeats for "
NOT_ALIVE = re.compile(r"Executor (\S+):\[(\d+)[, ]+(\d+)\] not alive")
WORKER = re.compile(r"^\s*(\d+) .*\.daemon\.worker\.Worker (\S+) (\S+) \d+ (\d+) ")


class Placement(NamedTuple):
    """Where a topology runs.

    Attributes:
        slots: supervisor, port and start of each executor.
        pids: the process of each worker, by the worker's name.
    """

    slots: Mapping[str, Slot]
    pids: Mapping[str, int]


class Mark(NamedTuple):
    """How a cluster was before an event: its placement, and how long Nimbus' log."""

    placement: Placement
    nimbus_lines: int


class Seen(NamedTuple):
    """What Nimbus and the supervisors have done since a mark.

    Attributes:
        moved: the executors that are assigned anew, to the same slot or another.
        replaced: the workers that are other processes now.
        not_alive: the executors that Nimbus called dead, once for each time.
    """

    moved: set[str]
    replaced: set[str]
    not_alive: list[str]


NOTHING = Seen(set(), set(), [])


class ComposedOperator(Operator):
    """Storm's client in a container of the project's network.

    Args:
        network: its name.
        folder: what the container has as `/operator`: classes, and topology.jar.
        conf: the folder of its storm.yaml.
        name: of the container.

    """

    def __init__(self, network: str, folder: Path, conf: Path, name: str) -> None:
        argv = [
            *("docker", "run", "--rm", "--interactive", f"--name={name}"),
            *(f"--network={network}", "--user=storm", "--entrypoint=java"),
            *(f"--volume={folder}:/operator:ro", f"--volume={conf}:/conf:ro"),
            *(STORM_IMAGE, "-Xmx128m", "-Dstorm.jar=/operator/topology.jar"),
            *("-cp", "/conf:/operator:/apache-storm/lib/*", "Operator"),
        ]
        self.child: Child = Child(argv)


class Composed:
    """A running cluster of the compose file with the topology "words".

    Args:
        name: of the project.
        settings: keys of its storm.yaml beside those of docker/storm.yaml.

    Attributes:
        project: of Compose.
        topology_id: of "words".
    """

    def __init__(self, name: str, settings: Mapping[str, object]) -> None:
        self._parts = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._parts.callback(shutil.rmtree, self._folder)
        # Users of containers are not this one: all may read.
        self._folder.chmod(0o755)
        self.project = Project(name, self._overlay(settings))
        self._parts.callback(self.project.down)
        try:
            self._start(name)
        except BaseException:
            self.keep_logs("start")
            self._parts.close()
            raise

    def _overlay(self, settings: Mapping[str, object]) -> Path:
        conf = self._folder / "conf"
        log4j2 = self._folder / "log4j2"
        for folder in (conf, log4j2):
            folder.mkdir()
        own = yaml.safe_load(STORM_YAML.read_text())
        taken_over = {key: TEST_SETTINGS[key] for key in TAKEN_OVER}
        launch = {"nimbus.task.launch.secs": LAUNCH_S}
        all_of_it = {**own, **taken_over, **launch, **settings}
        _write(conf / "storm.yaml", json.dumps(all_of_it))
        for name, appender in APPENDERS.items():
            kind = appender[1:].split()[0]
            _write(log4j2 / name, LOG4J2.format(appender=appender, kind=kind))
        services: dict[str, dict[str, Any]] = {
            service: {"volumes": [f"{conf}/storm.yaml:/conf/storm.yaml:ro"]}
            for service in (*STORM_SERVICES, *PACEMAKERS)
        }
        nimbus_log = f"{log4j2}:/apache-storm/log4j2:ro"
        services["nimbus"]["volumes"].append(nimbus_log)
        overlay = self._folder / "overlay.yml"
        _write(overlay, json.dumps({"services": services}))
        return overlay

    def _start(self, name: str) -> None:
        self.project.run("up", "--detach", "--build")
        self._nimbus = Child(
            ["docker", "logs", "--follow", self.project.container("nimbus")]
        )
        self._parts.callback(self._nimbus.stop)
        self.operator = self._operator(f"{name}-operator")
        self.topology_id = wait_until(
            "the topology",
            lambda: self.operator.topology_ids().get("words"),
            UP_TIMEOUT_S,
        )
        self.settle()

    def _operator(self, name: str) -> Operator:
        folder = self._folder / "operator"
        classes = compile_java(SOURCES, storm_classpath(NEWEST_RELEASE))
        shutil.copytree(classes, folder)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        # All that the topology needs is Storm's own; but a jar there must be.
        with zipfile.ZipFile(folder / "topology.jar", "w") as content:
            content.writestr("README", "An empty topology's jar.\n")
        conf = self._folder / "conf"
        operator = ComposedOperator(self.project.network, folder, conf, name)
        self._parts.callback(operator.child.stop)
        # Where the client is killed, its container may live on.
        self._parts.callback(_remove_container, name)
        return operator

    def settle(self) -> None:
        """Wait until all executors beat at Nimbus and are older than it lets pass."""
        wait_until("all executors settled", self._settled, UP_TIMEOUT_S)

    def _settled(self) -> bool:
        placement = self.placement()
        uptimes_s = self.operator.uptimes_s(self.topology_id)
        assert placement.slots, "nothing is assigned"
        assert uptimes_s.keys() == placement.slots.keys(), uptimes_s
        workers = {slot.worker for slot in placement.slots.values()}
        assert workers == placement.pids.keys(), placement
        assert len(workers) == WORKERS, placement
        newest_s = max(slot.started_s for slot in placement.slots.values())
        return time.time() > newest_s + LAUNCH_S + 2

    def placement(self) -> Placement:
        """Return where the topology runs now."""
        return Placement(
            self.operator.assignment(self.topology_id), self._worker_pids()
        )

    def _worker_pids(self) -> dict[str, int]:
        return {
            name: pid
            for service in SUPERVISORS
            for name, pid in self.workers_of(service).items()
        }

    def workers_of(self, supervisor: str) -> dict[str, int]:
        """Return the workers in a supervisor's container, and their processes."""
        pids = {}
        for line in self._processes(supervisor):
            match = WORKER.match(line)
            # A worker's log writer has its command line, too.
            if match and match[2] == self.topology_id and "LogWriter" not in line:
                pids[f"{match[3]}-{match[4]}"] = int(match[1])
        return pids

    def _processes(self, service: str) -> list[str]:
        container = self.project.container(service)
        if self.state(service) != "running":
            return []
        return docker("top", container, "-eo", "pid,args").splitlines()

    def state(self, service: str) -> str:
        """Return what the engine says of a service's container: `running`, say."""
        return self._inspect(service, "{{.State.Status}}")

    def life(self, service: str) -> str:
        """Return what is another when a service's container, or its process, is."""
        return self._inspect(service, "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}")

    def _inspect(self, service: str, wanted: str) -> str:
        container = self.project.container(service)
        return docker("inspect", f"--format={wanted}", container).strip()

    def kill_worker(self, worker: str) -> None:
        """Kill a worker, which has no time to say so to anyone."""
        (service,) = (one for one in SUPERVISORS if worker in self.workers_of(one))
        port = worker.rpartition("-")[2]
        pid = f"/logs/workers-artifacts/{self.topology_id}/{port}/worker.pid"
        kill = f'kill -KILL "$(cat {pid})"'
        self.project.run("exec", "-T", service, "sh", "-c", kill)

    def go_away(self, service: str, how: signal.Signals, outage_s: float) -> None:
        """End a Pacemaker by a signal, and start it again so much later."""
        starts = self._starts(service)
        # Of Compose's two releases, the old one has no `--signal`.
        self.project.run("kill", "-s", how.name, service)
        wait_until("its end", lambda: self.state(service) == "exited", UP_TIMEOUT_S)
        time.sleep(outage_s)
        self.project.run("start", service)
        wait_until("its start", lambda: self._starts(service) > starts, UP_TIMEOUT_S)

    def _starts(self, service: str) -> int:
        return sum("listening on " in line for line in self.pacemaker_log(service))

    def heartbeats(self, asked: str = PACEMAKERS[0], *options: str) -> dict[str, int]:
        """Return when each worker has written last, by our command.

        Args:
            asked: the service whose container runs it.
            options: further ones; else it asks all Pacemakers.

        """
        path = f"/workerbeats/{self.topology_id}"
        listed = self.pacemaker(asked, "ls", "-l", "--json", *options, path)
        return {entry["name"]: entry["time_secs"] or 0 for entry in json.loads(listed)}

    def busier_first(self) -> list[str]:
        """Return the Pacemakers' services, the one that more workers write to first."""
        return sorted(
            PACEMAKERS, key=lambda service: len(self.writers(service)), reverse=True
        )

    def writers(self, service: str) -> set[str]:
        """Return the workers that write to a Pacemaker."""
        # One that a worker has left keeps what it wrote there.
        since_s = time.time() - 2 * PERIOD_S
        there = self.heartbeats(service, "--server", service)
        return {name for name, written_s in there.items() if written_s > since_s}

    def pacemaker(self, service: str, *args: str) -> str:
        """Run our command in a Pacemaker's container."""
        return self.project.run("exec", "-T", service, "storm-pacemaker-py", *args)

    def pacemaker_log(self, service: str) -> list[str]:
        """Return what a Pacemaker has written, all its lives long."""
        return self.project.run("logs", "--no-color", service).splitlines()

    def wait_for_heartbeats(self, asked: str = PACEMAKERS[0]) -> None:
        """Wait until every assigned worker has written.

        Args:
            asked: the service whose container is asked.

        """
        since_s = time.time()

        def all_written() -> bool:
            written = self.heartbeats(asked)
            slots = self.operator.assignment(self.topology_id).values()
            return all(written.get(slot.worker, 0) > since_s for slot in slots)

        wait_until("heartbeats of all workers", all_written, UP_TIMEOUT_S)

    def wait_for_round(self) -> None:
        """Wait until Nimbus has begun, and ended, a round from now on."""
        begun = self._rounds()
        wait_until(
            "a whole round of Nimbus", lambda: self._rounds() > begun + 1, UP_TIMEOUT_S
        )

    def _rounds(self) -> int:
        mark = ROUND_BEGINS + self.topology_id
        return sum(mark in line for line in self._nimbus.stdout.all())

    def mark(self) -> Mark:
        """Return how everything is before an event, once it has settled."""
        self.settle()
        return Mark(self.placement(), len(self._nimbus.stdout.all()))

    def seen_since(self, mark: Mark) -> Seen:
        """Wait until the cluster has settled, and return what has happened."""
        self.wait_for_heartbeats()
        self.wait_for_round()
        self.settle()
        before, after = mark.placement, self.placement()
        found = map(NOT_ALIVE.search, self._nimbus.stdout.all()[mark.nimbus_lines :])
        return Seen(
            {name for name, slot in before.slots.items() if after.slots[name] != slot},
            {name for name, pid in before.pids.items() if after.pids.get(name) != pid},
            [
                f"{match[2]}-{match[3]}"
                for match in found
                if match and match[1] == self.topology_id
            ],
        )

    def output(self) -> dict[str, list[str]]:
        """Return what each service's container has written."""
        services = (*STORM_SERVICES, *PACEMAKERS, "zookeeper")
        return {
            name: self.project.run("logs", "--no-color", name).splitlines()
            for name in services
        }

    def keep_logs(self, name: str) -> Path:
        """Write what all parts have logged to a folder of this name; return it."""
        folder = KEPT_LOGS / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for service, lines in self.output().items():
            (folder / f"{service}.log").write_text("\n".join(lines) + "\n")
        for service in SUPERVISORS:
            # They and their workers log to files; there are none where none started.
            with suppress(AssertionError, RuntimeError):
                container = self.project.container(service)
                docker("cp", f"{container}:/logs", str(folder / service))
        return folder.relative_to(ROOT)

    def close(self) -> None:
        """Take everything down, and check that nothing is left."""
        self._parts.close()


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _remove_container(name: str) -> None:
    succeeds("docker", "rm", "--force", name)
