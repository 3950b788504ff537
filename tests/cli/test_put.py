"""The command `put`, over a daemon in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.cli.output import exit_codes
from pacemaker.client import PacemakerConnection, ServerAddress, requests
from tests.cli.conftest import Run

pytestmark = [pytest.mark.io, pytest.mark.usefixtures("server")]


def test_put_stores_a_file(run: Run, server: ServerAddress, tmp_path: Path) -> None:
    """The bytes of the file, whatever they are."""
    file = tmp_path / "value"
    file.write_bytes(bytes(range(256)))
    result = run("put", "/w", str(file))
    assert (result.exit_code, result.output) == (exit_codes.OK, "")
    with PacemakerConnection(server, timeout_s=30) as connection:
        assert connection.request(requests.get_pulse("/w")) == bytes(range(256))


def test_put_refuses_what_is_too_large(run: Run, tmp_path: Path) -> None:
    """The server would close the connection; the error says what is allowed."""
    file = tmp_path / "value"
    file.write_bytes(bytes(2000))
    result = run("put", "/w", str(file), "-c", "pacemaker.thrift.message.size.max=999")
    assert result.exit_code == exit_codes.USAGE
    assert "999 are allowed" in result.stderr
