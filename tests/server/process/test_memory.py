"""Tests of pacemaker.server.process.memory, on trees of files like the kernel's."""

from __future__ import annotations

import errno
import os
import resource
import sys
from pathlib import Path

import pytest

from pacemaker.server.process import memory

MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MIB = 2**20
V1_NO_LIMIT = 9223372036854771712


class FakeKernel:
    """A /proc and a /sys/fs/cgroup in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self._proc = root / "proc"
        self._cgroups = root / "cgroup"
        (self._proc / "self").mkdir(parents=True)
        self._cgroups.mkdir()

    def put_process_in(self, *lines: str) -> None:
        """Write the process's groups, as /proc/self/cgroup has them."""
        text = "".join(f"{line}\n" for line in lines)
        (self._proc / "self" / "cgroup").write_text(text)

    def limit(self, file: str, limit: int | str) -> None:
        """Write a limit into a group's file."""
        path = self._cgroups / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")

    def available_bytes(self) -> int:
        """Return the memory that the process may use."""
        return memory.available_bytes(self._proc, self._cgroups)

    def machine_has(self, free_kib: int) -> None:
        """Write the machine's available memory."""
        text = f"MemTotal: 99999999 kB\nMemAvailable: {free_kib} kB\n"
        (self._proc / "meminfo").write_text(text)

    def uses(self, address_space_kib: int) -> None:
        """Write the address space that the process uses."""
        (self._proc / "self" / "status").write_text(f"VmSize: {address_space_kib} kB\n")

    def free_bytes(self) -> int | None:
        """Return the memory that is still free for the process."""
        return memory.free_bytes(self._proc, self._cgroups)


@pytest.fixture(name="kernel")
def _kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """Make a kernel without limits."""
    no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", {resource.RLIMIT_AS: no_limit}.get)
    return FakeKernel(tmp_path)


def test_machine_is_the_limit_where_there_is_no_other(kernel: FakeKernel) -> None:
    """Without control groups, the limit is the machine's memory."""
    assert kernel.available_bytes() == MACHINE_BYTES


def test_group_limits_the_process(kernel: FakeKernel) -> None:
    """The limit of the process's own group counts (version 2)."""
    kernel.put_process_in("0::/system.slice/pacemaker.service")
    kernel.limit("system.slice/pacemaker.service/memory.max", 64 * MIB)
    assert kernel.available_bytes() == 64 * MIB


def test_least_of_the_groups_around_counts(kernel: FakeKernel) -> None:
    """A group may be limited by one of its parents."""
    kernel.put_process_in("0::/a/b/c")
    kernel.limit("a/b/c/memory.max", "max")
    kernel.limit("a/b/memory.max", 70 * MIB)
    kernel.limit("a/memory.max", 60 * MIB)
    kernel.limit("memory.max", 80 * MIB)
    assert kernel.available_bytes() == 60 * MIB


def test_root_of_a_container_limits_the_process(kernel: FakeKernel) -> None:
    """In a container the group's path may be hidden; the root has the limit."""
    kernel.put_process_in("0::/docker/0123456789ab")
    kernel.limit("memory.max", 32 * MIB)
    assert kernel.available_bytes() == 32 * MIB


def test_group_outside_the_namespace_ends_at_the_root(kernel: FakeKernel) -> None:
    """A path that leads out of the visible tree does no harm."""
    kernel.put_process_in("0::/../../elsewhere")
    kernel.limit("memory.max", 32 * MIB)
    assert kernel.available_bytes() == 32 * MIB


def test_version_1_limits_the_process(kernel: FakeKernel) -> None:
    """The memory controller of version 1 has its own tree and file."""
    kernel.put_process_in("12:cpu,cpuacct:/x", "9:memory:/docker/1", "1:name=systemd:/")
    kernel.limit("memory/memory.limit_in_bytes", V1_NO_LIMIT)
    kernel.limit("memory/docker/1/memory.limit_in_bytes", 48 * MIB)
    kernel.limit("cpu,cpuacct/x/memory.max", 1)
    assert kernel.available_bytes() == 48 * MIB


def test_no_limit_is_no_limit(kernel: FakeKernel) -> None:
    """Version 1 expresses no limit as a number larger than any machine's memory."""
    kernel.put_process_in("9:memory:/")
    kernel.limit("memory/memory.limit_in_bytes", V1_NO_LIMIT)
    assert kernel.available_bytes() == MACHINE_BYTES


def test_both_versions_may_be_there(kernel: FakeKernel) -> None:
    """On a hybrid machine the smaller limit counts."""
    kernel.put_process_in("9:memory:/a", "0::/b")
    kernel.limit("memory/a/memory.limit_in_bytes", 90 * MIB)
    kernel.limit("b/memory.max", 40 * MIB)
    assert kernel.available_bytes() == 40 * MIB


def test_address_space_is_a_limit(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of `ulimit -v` counts too."""
    limits = {resource.RLIMIT_AS: (50 * MIB, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert kernel.available_bytes() == 50 * MIB


def test_this_process_may_use_some_memory() -> None:
    """On the machine that runs the tests there is an answer, within its memory."""
    assert 0 < memory.available_bytes() <= MACHINE_BYTES


def test_free_memory_is_the_machines_where_nothing_is_limited(
    kernel: FakeKernel,
) -> None:
    """Without limits, the machine's available memory is free."""
    kernel.machine_has(free_kib=70 * 1024)
    assert kernel.free_bytes() == 70 * MIB


@pytest.mark.parametrize(
    ("group", "folder", "limit", "used", "droppable"),
    [
        ("0::/a", "a", "memory.max", "memory.current", "inactive_file"),
        (
            *("9:memory:/a", "memory/a", "memory.limit_in_bytes"),
            *("memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
    ids=["v2", "v1"],
)
def test_free_memory_is_what_a_group_has_left(
    kernel: FakeKernel, group: str, folder: str, limit: str, used: str, droppable: str
) -> None:
    """Files that the kernel can drop count as free."""
    kernel.machine_has(free_kib=10**9)
    kernel.put_process_in(group)
    kernel.limit(f"{folder}/{limit}", 64 * MIB)
    kernel.limit(f"{folder}/{used}", 50 * MIB)
    kernel.limit(f"{folder}/memory.stat", f"anon 7\n{droppable} 0")
    assert kernel.free_bytes() == 14 * MIB
    kernel.limit(f"{folder}/memory.stat", f"anon 7\n{droppable} {20 * MIB}")
    assert kernel.free_bytes() == 34 * MIB


def test_free_memory_is_none_past_a_limit(kernel: FakeKernel) -> None:
    """A group that uses more than its limit, which was lowered, has nothing left."""
    kernel.machine_has(free_kib=10**9)
    kernel.put_process_in("0::/")
    kernel.limit("memory.max", 64 * MIB)
    kernel.limit("memory.current", 65 * MIB)
    kernel.limit("memory.stat", "inactive_file 0")
    assert kernel.free_bytes() == 0


def test_free_memory_is_within_the_address_space(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unused part of `ulimit -v` is free."""
    limits = {resource.RLIMIT_AS: (500 * MIB, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    kernel.machine_has(free_kib=10**9)
    kernel.uses(address_space_kib=400 * 1024)
    assert kernel.free_bytes() == 100 * MIB


def test_this_process_may_take_some_memory() -> None:
    """On the machine that runs the tests there is an answer, within its memory."""
    free_bytes = memory.free_bytes()
    assert free_bytes is not None
    assert 0 < free_bytes <= MACHINE_BYTES


# --- what cannot be read ------------------------------------------------------


@pytest.fixture(name="no_descriptor")
def _no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every `open` fail, as if the process had no descriptor left."""

    def refuse(path: Path, *_: object) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    monkeypatch.setattr(Path, "read_text", refuse)


def test_free_memory_is_unknown_where_nothing_says_it(kernel: FakeKernel) -> None:
    """Without /proc the free memory is unknown, which is not the same as 0."""
    assert kernel.free_bytes() is None


@pytest.mark.usefixtures("no_descriptor")
def test_free_memory_is_unknown_without_a_descriptor(
    kernel: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    """If files cannot be opened, the free memory is unknown, not 0."""
    assert kernel.free_bytes() is None
    assert "meminfo: Too many open files; continuing without it" in caplog.text


@pytest.mark.parametrize("text", ["", "MemFree: 7 kB\n", "MemAvailable:\n", "\0\xff"])
def test_free_memory_is_unknown_on_a_kernel_that_does_not_count_it(
    kernel: FakeKernel, tmp_path: Path, text: str
) -> None:
    """Kernels before 3.14 and some containers have no MemAvailable."""
    (tmp_path / "proc" / "meminfo").write_text(text, "latin-1")
    assert kernel.free_bytes() is None


@pytest.mark.parametrize(
    ("current", "stat"),
    [(None, "inactive_file 0"), (1, None), (1, "anon 1"), ("?", "inactive_file 0")],
)
def test_group_whose_use_is_unknown_is_left_out(
    kernel: FakeKernel, current: int | str | None, stat: str | None
) -> None:
    """A group that shows only its limit is ignored."""
    kernel.put_process_in("0::/a")
    kernel.limit("a/memory.max", 64 * MIB)
    if current is not None:
        kernel.limit("a/memory.current", current)
    if stat is not None:
        kernel.limit("a/memory.stat", stat)
    assert kernel.free_bytes() is None
    kernel.machine_has(free_kib=70 * 1024)
    assert kernel.free_bytes() == 70 * MIB


def test_address_space_whose_use_is_unknown_is_left_out(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the used address space is unknown, `ulimit -v` is ignored."""
    limits = {resource.RLIMIT_AS: (500 * MIB, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert kernel.free_bytes() is None


def test_limit_that_cannot_be_read_is_logged(
    kernel: FakeKernel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit that exists but cannot be read is logged."""
    kernel.put_process_in("0::/a")
    (tmp_path / "cgroup" / "a" / "memory.max").mkdir(parents=True)
    assert kernel.available_bytes() == MACHINE_BYTES
    assert "a/memory.max: Is a directory; continuing without it" in caplog.text


def test_groups_with_odd_names_and_lines_are_read(
    kernel: FakeKernel, tmp_path: Path
) -> None:
    """A group's name may have any bytes, and unknown lines are skipped."""
    group = tmp_path / "cgroup" / os.fsdecode(b"caf\xe9:1")
    group.mkdir()
    (group / "memory.max").write_text(f"{50 * MIB}\n")
    lines = b"\nnonsense\n0::/caf\xe9:1\n"
    (tmp_path / "proc" / "self" / "cgroup").write_bytes(lines)
    assert kernel.available_bytes() == 50 * MIB


@pytest.mark.parametrize("answer", [-1, ValueError(), OSError()])
def test_memory_of_the_machine_may_be_unknown(
    kernel: FakeKernel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: int | Exception,
) -> None:
    """Then only the limits count; without any, 1 GiB is assumed and logged."""

    def sysconf(_: str) -> int:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert kernel.available_bytes() == 1024 * MIB
    assert "assuming 1024 MiB; set --store-budget and --buffer-budget" in caplog.text
    caplog.clear()
    kernel.put_process_in("0::/")
    kernel.limit("memory.max", 3000 * MIB)
    assert kernel.available_bytes() == 3000 * MIB
    assert not caplog.text


def test_free_pages_are_returned_without_a_word() -> None:
    """The call may be repeated, and logs nothing."""
    memory.return_free_pages()
    memory.return_free_pages()


@pytest.mark.parametrize(
    ("flags", "allocator", "purge_delay", "is_logged"),
    [
        ("", "", "", False),
        ("t", "", "", True),
        ("td", "", "10", True),
        ("t", "", "0", False),
        ("", "mimalloc", "", True),
        ("", "mimalloc_debug", "0", False),
        ("d", "malloc", "", False),
    ],
)
def test_allocator_that_keeps_freed_memory_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    flags: str,
    allocator: str,
    purge_delay: str,
    *,
    is_logged: bool,
) -> None:
    """A build without the GIL warns at the start that freed memory is kept."""
    monkeypatch.setattr(sys, "abiflags", flags)
    monkeypatch.setenv("PYTHONMALLOC", allocator)
    monkeypatch.setenv("MIMALLOC_PURGE_DELAY", purge_delay)
    memory.log_allocator()
    assert ("set MIMALLOC_PURGE_DELAY=0" in caplog.text) is is_logged
