"""Debian's Prometheus and promtool, for the tests that ask them."""

from __future__ import annotations

import subprocess

from tests.real.jvm import program


def complaints(text: str) -> str:
    """Return what `promtool check metrics` says of a page; "" if nothing is wrong."""
    command = [program("promtool"), "check", "metrics"]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    return said or ("" if done.returncode == 0 else f"exit code {done.returncode}")
