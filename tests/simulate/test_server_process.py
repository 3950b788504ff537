"""The server's process, found by its port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pacemaker.simulate.server_process import ServerProcess, find

LINE = "   0: 0100007F:{port:04X} 00000000:0000 {state} 0:0 0:0 0 0 0 {inode} 1\n"


class FakeProc:
    """A /proc in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "net").mkdir()
        (root / "net" / "tcp").write_text("head\n")

    def listen(self, port: int, inode: int, state: str = "0A") -> None:
        """Add a socket."""
        with (self.root / "net" / "tcp").open("a") as table:
            table.write(LINE.format(port=port, inode=inode, state=state))

    def process(self, pid: int, *inodes: int) -> None:
        """Add a process that holds sockets."""
        folder = self.root / str(pid) / "fd"
        folder.mkdir(parents=True)
        for number, inode in enumerate(inodes):
            (folder / str(number)).symlink_to(f"socket:[{inode}]")


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    """Return a /proc with nothing in it."""
    return FakeProc(tmp_path)


@pytest.mark.io
def test_own_process_is_found_and_costs_something() -> None:
    """The real /proc knows who listens on a port of this process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = find(server.getsockname()[1])
    assert found is not None
    assert found.pid == os.getpid()
    cost = found.cost()
    assert cost is not None
    assert cost.resident_bytes > 2**20
    assert cost.cpu_s > 0


def test_process_is_found_by_what_it_listens_on(proc: FakeProc) -> None:
    """Neither another port nor a connection from that port counts."""
    proc.listen(6699, 11)
    proc.listen(6700, 12)
    proc.listen(6699, 13, state="01")
    proc.process(100, 12, 13)
    proc.process(101, 10, 11)
    assert find(6699, proc.root) == ServerProcess(101, proc.root)


def test_several_processes_are_none(proc: FakeProc) -> None:
    """Two that share a socket cannot be told apart, but systemd's part is known."""
    proc.listen(6699, 11)
    proc.process(1, 11)
    proc.process(100, 11)
    assert find(6699, proc.root) == ServerProcess(100, proc.root)
    proc.process(101, 11)
    assert find(6699, proc.root) is None


def test_what_cannot_be_seen_is_none(proc: FakeProc, tmp_path: Path) -> None:
    """Nobody listens, or the process has gone."""
    assert find(6699, proc.root) is None
    assert ServerProcess(100, tmp_path).cost() is None
