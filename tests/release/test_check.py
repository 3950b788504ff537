"""What `make release-check` says about versions, the changelog and the tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from release import check


def _tree(root: Path, chart: str, heading: str, image: str = "1.0.0") -> Path:
    file = root / check.CHART
    file.parent.mkdir(parents=True)
    file.write_text(f"version: {chart}\nappVersion: '{chart}'\n")
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## [0.9.0] - x\n")
    (root / "Dockerfile").write_text(f'LABEL {check.IMAGE_VERSION}="{image}"\n')
    return root


def test_versions_that_agree_are_no_problem(tmp_path: Path) -> None:
    """The chart, the image, the changelog and the package have one version."""
    root = _tree(tmp_path, "1.0.0", "## [1.0.0] - 2026-11-28")
    assert list(check.versions(root, "1.0.0")) == []


@pytest.mark.parametrize(
    ("chart", "heading", "problems"),
    [
        ("0.9.0", "## [1.0.0] - 2026-11-28", ["version is 0.9.0", "appVersion is"]),
        ("1.0.0", "## [1.0.0] - unreleased", ["needs a date"]),
        ("1.0.0", "## Next", ["the newest section is not [1.0.0]"]),
    ],
)
def test_each_disagreement_is_named(
    tmp_path: Path, chart: str, heading: str, problems: list[str]
) -> None:
    """The message has the file and what is in it."""
    found = list(check.versions(_tree(tmp_path, chart, heading), "1.0.0"))
    assert len(found) == len(problems)
    assert all(part in line for part, line in zip(problems, found, strict=True))


def test_a_label_of_another_version_is_named(tmp_path: Path) -> None:
    """The image says which version it has, so its Dockerfile is one more place."""
    root = _tree(tmp_path, "1.0.0", "## [1.0.0] - 2026-11-28", image="0.9.0")
    (problem,) = check.versions(root, "1.0.0")
    assert problem == "Dockerfile: org.opencontainers.image.version is not 1.0.0"


@pytest.mark.io
def test_files_that_are_not_committed_are_named(tmp_path: Path) -> None:
    """A release is made of what is committed."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert list(check.clean_tree(tmp_path)) == []
    (tmp_path / "new.py").touch()
    assert list(check.clean_tree(tmp_path)) == ["not committed: new.py"]


def test_steps_that_fail_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All steps run, and the last line has the counts."""
    steps = {"good": lambda: iter(()), "bad": lambda: iter(["it is bad"])}
    monkeypatch.setattr(check, "STEPS", steps)
    assert check.main([]) == 1
    printed = capsys.readouterr().out
    assert "    bad: it is bad\n" in printed
    assert printed.endswith("1 passed, 1 failed\n")
