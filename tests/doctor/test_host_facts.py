"""What /proc says about a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacemaker.doctor.host_facts import host_facts

HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid\n"
)
LINE = "0: 0100007F:{port:04X} 00000000:0000 0A 00:00 00:00 00 0 0 {inode} 1\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Return a /proc where a process listens on 6699."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(HEAD + LINE.format(port=6699, inode=77))
    (tmp_path / "sys/net/core").mkdir(parents=True)
    (tmp_path / "sys/net/core/somaxconn").write_text("4096\n")
    process(tmp_path, "100", "socket:[77]", b"storm-pacemaker-py\0serve\0")
    return tmp_path


def process(proc: Path, pid: str, target: str, command: bytes) -> None:
    """Add a process with one descriptor."""
    folder = proc / pid
    (folder / "fd").mkdir(parents=True)
    (folder / "fd" / "3").symlink_to(target)
    (folder / "cmdline").write_bytes(command)
    limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n"
    (folder / "limits").write_text(limits)


def test_a_daemon_alone_does_not_keep_its_port(proc: Path) -> None:
    """Its own limits count, not ours."""
    facts = host_facts(6699, proc)
    assert (facts.listens, facts.keeps_port, facts.relay) == (True, False, False)
    assert (facts.descriptors, facts.somaxconn) == (1024, 4096)


def test_systemd_keeps_the_port(proc: Path) -> None:
    """It has the same socket."""
    process(proc, "1", "socket:[77]", b"/sbin/init\0")
    facts = host_facts(6699, proc)
    assert facts.keeps_port
    assert facts.descriptors == 1024


def test_a_relay_is_recognised(proc: Path) -> None:
    """By its command line."""
    process(proc, "200", "socket:[77]", b"storm-pacemaker-py\0relay\0")
    assert host_facts(6699, proc).relay


def test_nobody_listens_elsewhere(proc: Path) -> None:
    """Then nothing can be said of the port."""
    facts = host_facts(7000, proc)
    assert (facts.listens, facts.keeps_port) == (False, None)


def test_a_missing_proc_says_nothing(tmp_path: Path) -> None:
    """No error, no facts."""
    assert host_facts(6699, tmp_path).somaxconn is None
