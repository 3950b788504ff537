"""Checks of a process, and how a list of them is written; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple


class HealthCheck(NamedTuple):
    """One condition of health.

    Attributes:
        name: what is checked.
        is_ok: whether it passed.
        detail: what was measured, in words.
    """

    name: str
    is_ok: bool
    detail: str


def are_ok(checks: Sequence[HealthCheck]) -> bool:
    """Return whether every check has passed."""
    return all(check.is_ok for check in checks)


def as_text(checks: Sequence[HealthCheck], is_verbose: bool) -> str:
    """Write checks for people: ``ok``, or one line for each, as Kubernetes does.

    After a failure all checks are listed, so that the reader sees which one failed.
    """
    if are_ok(checks) and not is_verbose:
        return "ok\n"
    lines = [
        f"[{'+' if check.is_ok else '-'}]{check.name}"
        f" {'ok' if check.is_ok else 'failed'}: {check.detail}"
        for check in checks
    ]
    return "\n".join([*lines, "ok" if are_ok(checks) else "failed"]) + "\n"


def as_json(checks: Sequence[HealthCheck]) -> str:
    """Write checks for programs, always with every check."""
    listed = [
        {"name": check.name, "ok": check.is_ok, "detail": check.detail}
        for check in checks
    ]
    return json.dumps({"ok": are_ok(checks), "checks": listed}) + "\n"
