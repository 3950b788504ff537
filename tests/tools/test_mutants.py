"""Tests of tools/mutants.py: the page, and that its settings name what there is."""

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


def test_every_module_of_the_settings_is_there_and_has_its_tests() -> None:
    """A module that is renamed is renamed in the settings, too."""
    arguments = " ".join(settings()["pytest_add_cli_args"])
    for pattern in settings()["only_mutate"]:
        stem = pattern.removeprefix("*/").removesuffix(".py")
        assert list(ROOT.glob(f"pacemaker/**/{stem}.py")), pattern
        assert list(ROOT.glob(f"tests/**/test_{stem}.py")), pattern
        assert re.search(rf"\btest_{stem}\b", arguments), pattern


def test_coverage_and_mutants_have_the_same_core() -> None:
    """The Makefile names the modules again, for the report."""
    lines = re.findall(r"^CORE := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    core = ",".join(lines).replace("$(CORE),", "").split(",")
    assert sorted(core) == sorted(settings()["only_mutate"])
