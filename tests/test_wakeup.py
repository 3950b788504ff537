"""Waking a thread that waits for descriptors."""

from __future__ import annotations

import os
import select
import threading
from collections import deque

import pytest

from pacemaker.wakeup import WakeUp

pytestmark = pytest.mark.io

GIVE_UP_S = 10.0


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


def test_no_wake_up_is_lost_between_threads() -> None:
    """Whatever was queued before a `wake` is seen, however the threads interleave."""
    wake_up, queued = WakeUp(), deque[int]()

    def queue(count: int) -> None:
        for number in range(count):
            queued.append(number)
            wake_up.wake()

    threads = [threading.Thread(target=queue, args=(2_000,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = 0
    while seen < 4 * 2_000:
        assert select.select([wake_up.fd], [], [], GIVE_UP_S)[0], "a wake-up was lost"
        wake_up.clear()
        while queued:
            queued.popleft()
            seen += 1
    for thread in threads:
        thread.join()
    wake_up.close()
