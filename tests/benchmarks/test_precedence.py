"""Tests of benchmarks.precedence."""

from __future__ import annotations

from pathlib import Path

from benchmarks.precedence import precedence


def test_session_is_preferred_for_a_while(tmp_path: Path) -> None:
    """Afterwards it has its old value again."""
    autogroup = tmp_path / "autogroup"
    autogroup.write_text("/autogroup-199 nice 3\n")
    with precedence(autogroup) as is_preferred:
        assert is_preferred
        assert autogroup.read_text() == "-19"
    assert autogroup.read_text() == "3\n"


def test_kernel_may_have_no_groups(tmp_path: Path) -> None:
    """The block runs all the same."""
    with precedence(tmp_path / "autogroup") as is_preferred:
        assert not is_preferred
