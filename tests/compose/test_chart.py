"""The pods of the Helm chart, run as containers: what no schema can check.

The containers have the arguments, variables, files and restrictions of the golden file.
The names of the pods and of the relays' Service are aliases on a network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.waiting import wait_until
from tests.compose.engine import docker, succeeds
from tests.compose.test_image import LOCKED
from tests.real.jvm import ROOT

pytestmark = pytest.mark.compose

GOLDEN = ROOT / "tests" / "release" / "helm" / "relays.golden.yaml"
PODS = ("storm-pacemaker-0", "storm-pacemaker-1")
RELAY = "storm-pacemaker-relay"
KEY = "/workerbeats/words-1-1/worker-1"
START_TIMEOUT_S = 60

HEALTH = ("storm-pacemaker-py", "health")
EXISTS = ("storm-pacemaker-py", "exists")

JAAS = (
    "PacemakerDigest { org.apache.storm.security.auth.DigestLoginModule required"
    ' username="nimbus" password="words"; };\n'
)


class Chart:
    """What the chart starts, on a network of its own.

    Attributes:
        containers: the id of each container, by the pod's name.
    """

    def __init__(self, folder: Path, image: str, started: ExitStack) -> None:
        objects = [each for each in yaml.safe_load_all(GOLDEN.read_text()) if each]
        self._objects = {(o["kind"], o["metadata"]["name"]): o for o in objects}
        self._folder, self._image, self._started = folder, image, started
        self._network = f"chart-test-{os.getpid()}"
        docker("network", "create", self._network)
        started.callback(docker, "network", "rm", self._network)
        own = f"{PODS[0].removesuffix('-0')}.storm.svc"
        self.containers = {
            name: self._run("StatefulSet", "storm-pacemaker", f"{name}.{own}")
            for name in PODS
        }
        self.containers[RELAY] = self._run("DaemonSet", RELAY, f"{RELAY}.storm.svc")

    def _run(self, kind: str, name: str, alias: str) -> str:
        spec = self._objects[kind, name]["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        security = spec["securityContext"]
        id_ = docker(
            *("run", "--detach", *LOCKED, f"--network={self._network}"),
            *(f"--network-alias={alias}", f"--hostname={alias.split('.')[0]}"),
            f"--user={security['runAsUser']}:{security['runAsGroup']}",
            *(f"--env={each['name']}={_value(each)}" for each in container["env"]),
            *self._mounts(spec, container),
            *(self._image, *container["args"]),
        ).strip()
        self._started.callback(docker, "rm", "--force", "--volumes", id_)
        return id_

    def _mounts(self, spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
        volumes = {each["name"]: each for each in spec["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                name = volume["configMap"]["name"]
                files = self._objects["ConfigMap", name]["data"]
            else:
                name, files = volume["secret"]["secretName"], {"jaas.conf": JAAS}
            folder = self._folder / name
            folder.mkdir(exist_ok=True)
            for file, text in files.items():
                (folder / file).write_text(text)
            yield f"--volume={folder}:{mount['mountPath']}:ro"

    def run(self, pod: str, *argv: str) -> str:
        """Run a command in a container and return its output."""
        return docker("exec", self.containers[pod], *argv)

    def has(self, pod: str, *argv: str) -> bool:
        """Tell whether a command in a container ends with 0."""
        return succeeds("docker", "exec", self.containers[pod], *argv)

    def answers(self, pod: str, path: str) -> bool:
        """Tell whether a pod's address answers a probe that comes from another pod."""
        networks = f'(index .NetworkSettings.Networks "{self._network}")'
        address = docker(
            *("inspect", f"--format={{{{{networks}.IPAddress}}}}"),
            self.containers[pod],
        ).strip()
        other = PODS[1] if pod == PODS[0] else PODS[0]
        live = ("--live",) if path == "/livez" else ()
        return self.has(other, *HEALTH, f"--admin={address}:6698", *live)


def _value(variable: dict[str, Any]) -> str:
    if "value" in variable:
        value: str = variable["value"]
        return value
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    # The engine chooses the address when it starts the container; the name leads there.
    return RELAY


@pytest.fixture(scope="module")
def chart(own_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chart]:
    """Start two Pacemakers and a relay; all is removed at the end."""
    folder = tmp_path_factory.mktemp("chart")
    for path in (folder.parent, folder):
        path.chmod(0o755)
    with ExitStack() as started:
        yield Chart(folder, own_image, started)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("pod", [*PODS, RELAY])
def test_each_pod_answers_its_probes(chart: Chart, pod: str, path: str) -> None:
    """The pod's own address answers, not only loopback."""
    wait_until("the answer", lambda: chart.answers(pod, path), START_TIMEOUT_S)


def test_the_relay_s_name_leads_to_every_pacemaker(chart: Chart) -> None:
    """What is written to the name in storm.yaml is in both, and one is enough to read.

    The command reads storm.yaml as a pod of Storm does, and authenticates.
    """
    for pod in (*PODS, RELAY):
        ready = partial(chart.answers, pod, "/readyz")
        wait_until(f"{pod} to be ready", ready, START_TIMEOUT_S)
    chart.run(RELAY, "sh", "-c", f"echo alive | storm-pacemaker-py put {KEY}")
    for pod in PODS:
        stored = partial(chart.has, pod, *EXISTS, "--server=127.0.0.1", KEY)
        wait_until(f"the heartbeat in {pod}", stored, START_TIMEOUT_S)
    docker("kill", chart.containers[PODS[0]])
    chart.run(RELAY, *EXISTS, KEY)
