"""Tests of tools/mutants.py: the page, and that its settings name existing files."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mutants() -> ModuleType:
    """Load the tool."""
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tools/mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings() -> dict[str, Any]:
    """Return mutmut's settings."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return dict(content["tool"]["mutmut"])


def test_page_counts_the_sample_alone(
    mutants: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What earlier runs have tried besides says nothing of this sample."""
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-    x = 1\n+    x = 2\n y = 3\n"
    monkeypatch.setattr(mutants, "mutmut", lambda *arguments, quiet: diff)
    made = {
        "pacemaker/store.py": {"a": 1, "b": 0, "c": 33, "d": None, "e": 0},
        "pacemaker/frames.py": {"f": -24},
    }
    page = mutants.page(made, {"a", "b", "c", "f"})
    assert "4 of 6 mutants were tried, a sample by the seed" in page
    assert "**2 were noticed\n(50%)**" in page
    assert "| `pacemaker/store.py` | 5 | 3 | 1 | 1 | 1 |" in page
    assert "| `pacemaker/frames.py` | 1 | 1 | 1 | 0 | 0 |" in page
    assert page.endswith("`pacemaker/store.py`:\n\n```diff\n- x = 1\n+ x = 2\n```\n")


def test_every_pattern_of_the_settings_names_modules() -> None:
    """A room that is renamed is renamed in the settings, too, and so are its tests."""
    for pattern in settings()["only_mutate"]:
        assert list(ROOT.glob(pattern)), pattern
    for folder in settings()["pytest_add_cli_args_test_selection"]:
        assert list(ROOT.glob(f"{folder}/**/test_*.py")), folder


def test_tests_that_are_left_out_exist() -> None:
    """A test that is renamed would otherwise be run, and fail on every mutant."""
    texts = [
        path.read_text()
        for folder in settings()["pytest_add_cli_args_test_selection"]
        for path in ROOT.glob(f"{folder}/**/test_*.py")
    ]
    names = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", settings()["pytest_add_cli_args"][-1])
    assert names
    for name in names:
        assert any(re.search(rf"def test_\w*{name}", text) for text in texts), name
