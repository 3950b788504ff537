"""The Helm chart: its output for given values, by golden files and API schemas."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pacemaker.cli.options.daemon_options import daemon_options
from pacemaker.cli.relay import relay_command
from pacemaker.cli.serve import serve_command
from pacemaker.doctor.storm_yaml import STORE_2X
from tests.release.conftest import ROOT

CHART = ROOT / "deploy" / "helm" / "storm-pacemaker-py"
CASES = Path(__file__).parent / "helm"
# Go takes some minutes for it.
_MAY_BUILD_HELM = pytest.mark.timeout(900)
NAMES = ("default", "full", "relays")
BUILD_TIMEOUT_S = 1200
"""With the time that Go needs to build Helm: minutes, once for a machine."""

KUBERNETES = ("1.25", "1.31")

CHECK = """
import sys, yaml, kubernetes_validate
for each in yaml.safe_load_all(open(sys.argv[1])):
    if each["apiVersion"] != "monitoring.coreos.com/v1":
        kubernetes_validate.validate(each, sys.argv[2], strict=True)
"""


ACCEPTS = """
import json, sys, jsonschema
schema, values = (json.loads(each) for each in sys.argv[1:])
jsonschema.validate(values, schema)
"""

REFUSED = (
    {"stormYaml": {"pacemaker.relay.servers": ["pm1"]}},
    {"relay": {"enable": True}},
    {"relay": {"enabled": "yes"}},
    {"relay": {"env": {"STORM_PACEMAKER_RELAY_IO_THREADS": 2}}},
    {"replicas": 0},
)

# The label of a pod's revision has at most 63 characters: the StatefulSet's name and
# this many more.
REVISION_CHARACTERS = 11


CHECK_SIDECAR = """
import sys, yaml, kubernetes_validate
spec = yaml.safe_load(sys.argv[1]) | {
    "containers": [{"name": "nimbus", "image": "storm"}],
    "volumes": [{"name": "storm-yaml", "configMap": {"name": "storm"}}],
}
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nimbus"}, "spec": spec}
kubernetes_validate.validate(pod, "1.31", strict=True)
"""


def _golden(name: str) -> list[dict[str, Any]]:
    text = (CASES / f"{name}.golden.yaml").read_text()
    return [each for each in yaml.safe_load_all(text) if each]


def _one(name: str, kind: str, component: str = "pacemaker") -> dict[str, Any]:
    label = "app.kubernetes.io/component"
    (found,) = (
        each
        for each in _golden(name)
        if each["kind"] == kind and each["metadata"]["labels"][label] == component
    )
    return found


def _pod(name: str, component: str) -> dict[str, Any]:
    kind = {"pacemaker": "StatefulSet", "relay": "DaemonSet"}[component]
    spec: dict[str, Any] = _one(name, kind, component)["spec"]["template"]["spec"]
    return spec


def _template(helm: Path, *options: str | Path) -> str:
    """Return what Helm makes of the chart."""
    done = subprocess.run(
        [
            *(helm, "template", *options, CHART),
            *("--namespace=storm", "--kube-version=1.31.0"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.real
@pytest.mark.timeout(BUILD_TIMEOUT_S)
@pytest.mark.parametrize("name", NAMES)
@_MAY_BUILD_HELM
def test_templates_give_the_golden_files(helm: Path, name: str) -> None:
    """Helm makes of the values what was looked at and committed."""
    made = _template(helm, "storm", f"--values={CASES / name}.values.yaml")
    assert made == (CASES / f"{name}.golden.yaml").read_text()


@pytest.mark.real
@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", NAMES)
def test_objects_are_those_of_the_api(
    release_python: Path, name: str, version: str
) -> None:
    """Each object is valid by the schema of its kind, with no unknown field."""
    golden = CASES / f"{name}.golden.yaml"
    subprocess.run([release_python, "-c", CHECK, golden, version], check=True)


@pytest.mark.real
@pytest.mark.timeout(BUILD_TIMEOUT_S)
@_MAY_BUILD_HELM
def test_a_long_name_of_a_release_is_cut(helm: Path) -> None:
    """With the longest name that Helm accepts, no name is too long for the API."""
    made = _template(helm, "r" * 53, "--set=relay.enabled=true")
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(made) if each]
    assert max(map(len, names)) <= 63
    stateful = [name for name in names if name.endswith("-pacemaker")]
    assert all(len(name) + REVISION_CHARACTERS <= 63 for name in stateful)


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_the_schema_accepts_the_values(release_python: Path, name: str) -> None:
    """The values of the golden files are allowed."""
    values = yaml.safe_load((CASES / f"{name}.values.yaml").read_text())
    assert _is_accepted(release_python, values)


@pytest.mark.real
@pytest.mark.parametrize("values", REFUSED)
def test_the_schema_refuses_other_values(
    release_python: Path, values: dict[str, Any]
) -> None:
    """A misspelt value, one of another type, and what the chart sets are refused."""
    assert not _is_accepted(release_python, values)


def _is_accepted(python: Path, values: dict[str, Any]) -> bool:
    merged = yaml.safe_load((CHART / "values.yaml").read_text()) | values
    schema = (CHART / "values.schema.json").read_text()
    done = subprocess.run(
        [python, "-c", ACCEPTS, schema, json.dumps(merged)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "ValidationError" in done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("component", "variable"),
    [
        ("pacemaker", "STORM_PACEMAKER_ADMIN"),
        ("relay", "STORM_PACEMAKER_RELAY_ADMIN"),
    ],
)
def test_pods_are_asked_at_their_admin_endpoint(component: str, variable: str) -> None:
    """A pod that is not live is restarted; one that is not ready is only left out."""
    (container,) = _pod("relays", component)["containers"]
    for probe, path in (
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ):
        assert container[probe]["httpGet"] == {"path": path, "port": "admin"}
    assert {"name": variable, "value": "0.0.0.0:6698"} in container["env"]
    assert {"name": "admin", "containerPort": 6698} in container["ports"]


@pytest.mark.parametrize("name", NAMES)
def test_a_rollout_waits_a_minute_between_two_pacemakers(name: str) -> None:
    """After half a minute a Nimbus of 2.x is still late from the first restart."""
    assert _one(name, "StatefulSet")["spec"]["minReadySeconds"] == 60


def test_alerts_fit_what_the_operator_scrapes() -> None:
    """The job of each target is the one in the rules, whatever the release's name."""
    (endpoint,) = _one("full", "ServiceMonitor")["spec"]["endpoints"]
    (job,) = (r for r in endpoint["relabelings"] if r["targetLabel"] == "job")
    rules = ROOT / "deploy" / "prometheus" / "storm-pacemaker.rules.yml"
    assert f'up{{job="{job["replacement"]}"}}' in rules.read_text()


def test_the_notes_name_the_class_that_storm_has() -> None:
    """The name in Storm 2.x is spelt with a capital M, in the package cluster."""
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    assert f"storm.cluster.state.store: {STORE_2X}\n" in notes


@pytest.mark.parametrize("component", ["pacemaker", "relay"])
def test_pods_are_locked_down(component: str) -> None:
    """No root, no capability, no writable root, no token of the API."""
    spec = _pod("relays", component)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    own = spec["containers"][0]["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_without_being_asked_for_there_is_no_relay() -> None:
    """A DaemonSet runs on every node, so it is only there if it was turned on."""
    assert "DaemonSet" not in {each["kind"] for each in _golden("full")}


def test_relays_know_every_pacemaker() -> None:
    """A relay sends each heartbeat to all of them, and is none of them itself."""
    relay = yaml.safe_load(_one("relays", "ConfigMap", "relay")["data"]["storm.yaml"])
    own = yaml.safe_load(_one("relays", "ConfigMap")["data"]["storm.yaml"])
    assert relay["pacemaker.relay.servers"] == own["pacemaker.servers"]
    assert relay["pacemaker.servers"] == ["storm-pacemaker-relay.storm.svc"]
    assert relay["pacemaker.auth.method"] == own["pacemaker.auth.method"]


def test_a_client_is_led_to_the_relay_of_its_own_node() -> None:
    """The name that relays have in storm.yaml is a Service that stays on the node."""
    service = _one("relays", "Service", "relay")
    assert service["metadata"]["name"] == "storm-pacemaker-relay"
    assert service["spec"]["internalTrafficPolicy"] == "Local"


@pytest.mark.parametrize("component", ["pacemaker", "relay"])
def test_objects_select_their_own_pods_only(component: str) -> None:
    """Neither workload, Service nor policy takes the other's pods for its own."""
    wanted = {
        "app.kubernetes.io/name": "storm-pacemaker-py",
        "app.kubernetes.io/instance": "storm",
        "app.kubernetes.io/component": component,
    }
    workload = {"pacemaker": "StatefulSet", "relay": "DaemonSet"}[component]
    spec = _one("relays", workload, component)["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == wanted
    assert wanted.items() <= labels.items()
    assert _one("relays", "Service", component)["spec"]["selector"] == wanted
    policy = _one("relays", "NetworkPolicy", component)["spec"]
    assert policy["podSelector"]["matchLabels"] == wanted


def test_only_relays_and_clients_reach_the_pacemakers() -> None:
    """Relays need not be named among the clients; only Storm's pods reach a relay."""
    storm = {"podSelector": {"matchLabels": {"app": "storm"}}}
    relay = _one("relays", "DaemonSet", "relay")["spec"]["selector"]
    of_relays = _one("relays", "NetworkPolicy", "relay")["spec"]["ingress"][0]
    of_pacemakers = _one("relays", "NetworkPolicy")["spec"]["ingress"][0]
    assert of_relays["from"] == [storm]
    assert of_pacemakers["from"] == [storm, {"podSelector": relay}]


def test_storm_yaml_names_every_pod() -> None:
    """The daemon, like Storm's clients, reads all names in pacemaker.servers."""
    text = _one("full", "ConfigMap")["data"]["storm.yaml"]
    settings = yaml.safe_load(text)
    names = [f"storm-pacemaker-{n}.storm-pacemaker.storm.svc" for n in range(3)]
    assert settings["pacemaker.servers"] == names
    assert settings["pacemaker.auth.method"] == "KERBEROS"


def _sidecar() -> str:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.mark.real
def test_the_documented_sidecar_is_one_of_the_api(release_python: Path) -> None:
    """What the page tells to copy into a pod is valid there, with no unknown field."""
    subprocess.run([release_python, "-c", CHECK_SIDECAR, _sidecar()], check=True)


def test_the_documented_sidecar_is_a_relay_to_the_chart_s_pods() -> None:
    """Its options are those of the command, and its servers the chart's."""
    (sidecar,) = yaml.safe_load(_sidecar())["initContainers"]
    name, *options = sidecar["args"]
    with relay_command.make_context(name, options) as ctx:
        servers = list(ctx.params["servers"])
    storm_yaml = _one("default", "ConfigMap")["data"]["storm.yaml"]
    assert servers == yaml.safe_load(storm_yaml)["pacemaker.servers"]
    known = {option.envvar for option in daemon_options(relay_command)}
    assert {each["name"] for each in sidecar["env"]} <= known


def test_variables_of_the_chart_are_options() -> None:
    """A misspelt variable would only cause a warning in the log of a pod."""
    for component, command in (("pacemaker", serve_command), ("relay", relay_command)):
        (container,) = _pod("relays", component)["containers"]
        known = {option.envvar for option in daemon_options(command)}
        assert {each["name"] for each in container["env"]} <= known


def test_one_version_everywhere() -> None:
    """The chart is released with the program."""
    from pacemaker import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_every_value_is_in_the_schema() -> None:
    """A misspelt value is refused, because the schema has all of them."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    assert set(values) <= set(schema["properties"])
