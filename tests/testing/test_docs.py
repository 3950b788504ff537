"""The examples of docs/testing-your-code.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing-your-code.md"
PRINTED = {
    "MemoryNetwork": "b'beat'\nb'beat'\n1.0 seconds have passed\n",
    "FakeZooKeeper": "[]\n",
}


@pytest.mark.parametrize("fake", PRINTED)
def test_example_runs(fake: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what the page says of it."""
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (example,) = [each for each in examples if f"{fake}()" in each]
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102  (our own page)
    assert capsys.readouterr().out == PRINTED[fake]
