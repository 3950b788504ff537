"""The Helm chart: what it makes of values, by golden files and the API's schemas."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.conftest import ROOT

CHART = ROOT / "deploy" / "helm" / "storm-pacemaker-py"
CASES = Path(__file__).parent / "helm"
NAMES = ("default", "full")
KUBERNETES = ("1.25", "1.31")

CHECK = """
import sys, yaml, kubernetes_validate
for each in yaml.safe_load_all(open(sys.argv[1])):
    if each["apiVersion"] != "monitoring.coreos.com/v1":
        kubernetes_validate.validate(each, sys.argv[2], strict=True)
"""


def _golden(name: str) -> list[dict[str, Any]]:
    text = (CASES / f"{name}.golden.yaml").read_text()
    return [each for each in yaml.safe_load_all(text) if each]


def _one(name: str, kind: str) -> dict[str, Any]:
    (found,) = (each for each in _golden(name) if each["kind"] == kind)
    return found


@pytest.mark.io
@pytest.mark.parametrize("name", NAMES)
def test_templates_give_the_golden_files(name: str) -> None:
    """Helm makes of the values what was looked at and committed."""
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed")
    made = subprocess.run(
        [
            *(helm, "template", "storm", CHART, "--namespace=storm"),
            *("--kube-version=1.31.0", f"--values={CASES / name}.values.yaml"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
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


def test_pods_are_asked_at_their_admin_endpoint() -> None:
    """A pod that is not live is restarted; one that is not ready is only left out."""
    pod = _one("default", "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert pod["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert pod["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {"name": "STORM_PACEMAKER_ADMIN", "value": "0.0.0.0:6698"} in pod["env"]


def test_pods_are_locked_down() -> None:
    """No root, no capability, no writable root, no token of the API."""
    spec = _one("full", "StatefulSet")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    own = spec["containers"][0]["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_storm_yaml_names_every_pod() -> None:
    """The daemon, like Storm's clients, reads all names in pacemaker.servers."""
    text = _one("full", "ConfigMap")["data"]["storm.yaml"]
    settings = yaml.safe_load(text)
    names = [f"storm-pacemaker-{n}.storm-pacemaker.storm.svc" for n in range(3)]
    assert settings["pacemaker.servers"] == names
    assert settings["pacemaker.auth.method"] == "KERBEROS"


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
