"""The example of docs/client.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pacemaker.client import PacemakerConnection, requests
from pacemaker.heartbeats import codec
from pacemaker.heartbeats.model import WorkerHeartbeat
from tests.client.daemons import daemon

pytestmark = pytest.mark.io

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_example_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It prints each worker of a cluster and the time of its heartbeat."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    beat = codec.encode(WorkerHeartbeat("words-1-1", 1_700_000_000, 60, {}))
    with daemon() as address:
        (tmp_path / "storm.yaml").write_text(f'pacemaker.servers: ["{address}"]\n')
        monkeypatch.setenv("STORM_CONF_DIR", str(tmp_path))
        with PacemakerConnection(address, timeout_s=30) as connection:
            connection.request(requests.send_pulse("/workerbeats/words-1-1/w-1", beat))
        exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102  (our own page)
    assert capsys.readouterr().out == "words-1-1 w-1 1700000000\n"
