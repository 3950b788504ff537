"""Waking a thread that waits for descriptors."""

from __future__ import annotations

import os
import select

import pytest

from pacemaker.wakeup import WakeUp

pytestmark = pytest.mark.io


def _is_readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_wait_ends_once_however_often_it_was_woken() -> None:
    """The wake-ups before a `clear` are one."""
    wake_up = WakeUp()
    assert not _is_readable(wake_up.fd)
    wake_up.clear()
    for _ in range(3):
        wake_up.wake()
    assert _is_readable(wake_up.fd)
    wake_up.clear()
    assert not _is_readable(wake_up.fd)
    wake_up.close()


def test_closed_one_touches_nobody_elses_descriptor() -> None:
    """The number of a closed descriptor is soon used again."""
    wake_up = WakeUp()
    wake_up.close()
    reader, writer = os.pipe()
    try:
        wake_up.fd = writer
        wake_up.wake()
        wake_up.close()
        assert not _is_readable(reader)
        os.write(writer, b"still open")
    finally:
        os.close(reader)
        os.close(writer)
