"""Software bills of materials (SBOM) of virtual environments, as CycloneDX JSON."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, Final

NAME: Final = "storm-pacemaker-py"

Bill = dict[str, Any]


def of_environment(python: Path, epoch: int) -> Bill:
    """Return the bill of an environment, with this package as its subject."""
    listed = subprocess.run(  # noqa: S603
        (
            *(sys.executable, "-m", "cyclonedx_py", "environment", python),
            *("--output-reproducible", "--validate", "--spec-version", "1.6"),
        ),
        env=os.environ | {"SOURCE_DATE_EPOCH": f"{epoch}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return _about_us(json.loads(listed))


def of_wheel(wheel: Path, epoch: int) -> Bill:
    """Return the bill of a fresh environment into which a wheel is installed."""
    with tempfile.TemporaryDirectory() as name:
        venv.create(name, with_pip=True)
        python = Path(name) / "bin" / "python"
        pip = (python, "-m", "pip", "--disable-pip-version-check")
        for step in (("install", "--quiet", wheel), ("uninstall", "--yes", "pip")):
            subprocess.run((*pip, *step), check=True, capture_output=True)  # noqa: S603
        return of_environment(python, epoch)


def _about_us(bill: Bill) -> Bill:
    """Make this package the bill's subject; the tool lists it as a component."""
    tools = ("pip", "setuptools", "wheel")
    (ours,) = (each for each in bill["components"] if each["name"] == NAME)
    ours["type"] = "application"
    # The path of the wheel on this machine.
    ours.pop("externalReferences", None)
    ours["purl"] = f"pkg:pypi/{NAME}@{ours['version']}"
    bill["metadata"]["component"] = ours
    kept = [e for e in bill["components"] if e is not ours and e["name"] not in tools]
    dropped = {each["bom-ref"] for each in bill["components"] if each["name"] in tools}
    bill["components"] = kept
    bill["dependencies"] = [e for e in bill["dependencies"] if e["ref"] not in dropped]
    return bill


def read(file: Path) -> Bill:
    """Read a bill from a file."""
    bill: Bill = json.loads(file.read_text())
    return bill


def write(bill: Bill, artefact: Path, file: Path) -> None:
    """Write the bill of one artefact, with its checksum."""
    about = copy.deepcopy(bill)
    digest = hashlib.sha256(artefact.read_bytes()).hexdigest()
    about["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": digest}]
    about["metadata"]["component"]["description"] = artefact.name
    file.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
