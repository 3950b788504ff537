"""The state in a memfd: complete, or not at all."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from pacemaker.errors import StateError
from pacemaker.server.upgrade.memfd import read_state, write_state
from tests.server.upgrade.test_state_format import SMALL

MIB = 2**20


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208  (Path opens one more)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Limit the files of this process to 1 MiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_memfd_gives_back_what_was_written() -> None:
    """The state is read as it was written, and the descriptor is closed."""
    before = _descriptors()
    state = SMALL._replace(heartbeats=[("/w", bytes(3 * MIB)), ("/v", b"beat")])
    assert read_state(write_state(state)) == state
    assert _descriptors() == before


def test_memfd_without_room_is_an_error_and_leaves_nothing(small_files: None) -> None:
    """A state that does not fit is an error, and no memfd stays open."""
    before = _descriptors()
    with pytest.raises(OSError, match="File too large"):
        write_state(SMALL._replace(heartbeats=[("/w", bytes(3 * MIB))]))
    assert _descriptors() == before


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 5000])
def test_memfd_with_anything_else_is_refused(content: bytes) -> None:
    """This includes an empty memfd, which cannot be mapped."""
    fd = os.memfd_create("test")
    os.write(fd, content)
    before = len(_descriptors())
    with pytest.raises(StateError):
        read_state(fd)
    assert len(_descriptors()) == before - 1


def test_descriptor_that_is_none_is_refused() -> None:
    """A closed descriptor, or one of a pipe, is refused."""
    reader, writer = os.pipe()
    os.close(writer)
    for _ in range(2):
        with pytest.raises(StateError):
            read_state(reader)
