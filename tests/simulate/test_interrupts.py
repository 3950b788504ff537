"""SIGINT and SIGTERM while a run lasts."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from pacemaker.simulate.interrupts import Interrupts


@pytest.fixture(autouse=True)
def interactive() -> Iterator[None]:
    """Have Ctrl-C raise, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted(number: signal.Signals) -> None:
    """Nothing is raised, and it says which it was."""
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        assert not interrupts.came
        signal.raise_signal(number)
        assert interrupts.came
        assert interrupts.signal_number == number
    assert signal.getsignal(number) == before


def test_second_signal_forces_the_end() -> None:
    """After the first, Ctrl-C does what it always does."""
    with Interrupts():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
