"""The example of docs/state.md, run as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pacemaker.cluster_state.factory import pacemaker_state_factory
from pacemaker.config import load_configuration
from pacemaker.heartbeats.codec import encode
from pacemaker.heartbeats.model import WorkerHeartbeat
from tests.real.daemons import Daemon
from tests.real.jvm import ROOT
from tests.real.zookeeper import ZooKeeper, new_settings

pytestmark = pytest.mark.real


def test_example_runs(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    """The example finds the cluster by storm.yaml and prints each worker's time."""
    document = (ROOT / "docs" / "state.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", document, re.DOTALL)[0]
    settings = new_settings(zookeeper.port)
    with Daemon() as daemon:
        conf = {
            "storm.zookeeper.servers": ["127.0.0.1"],
            "storm.zookeeper.port": zookeeper.port,
            "storm.zookeeper.root": settings.zookeeper_root,
            "pacemaker.servers": [daemon.address[0]],
            "pacemaker.port": daemon.address[1],
        }
        # JSON is YAML.
        (tmp_path / "storm.yaml").write_text(json.dumps(conf))
        environment = {"STORM_CONF_DIR": str(tmp_path)}
        with pacemaker_state_factory(load_configuration(environment).settings) as state:
            state.set_data("/storms/t-1", b"")
            beat = encode(WorkerHeartbeat("t-1", 1700000123, 5, {}))
            state.set_worker_hb("/workerbeats/t-1/n-6700", beat)
        done = subprocess.run(
            [sys.executable, "-c", example],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=30,
            check=False,
        )
    assert done.stdout == "t-1 n-6700 1700000123\n", done.stderr
