"""How checks are written."""

from __future__ import annotations

import json

from pacemaker.admin.health import HealthCheck, are_ok, as_json, as_text

GOOD = HealthCheck("io-0", True, "last turn 0.1 s ago")
BAD = HealthCheck("acceptor", False, "last turn 12.0 s ago")


def test_one_failure_is_enough() -> None:
    """All checks must be in order."""
    assert are_ok([GOOD])
    assert not are_ok([GOOD, BAD])


def test_health_is_one_word() -> None:
    """Details are for those who ask for them."""
    assert as_text([GOOD], is_verbose=False) == "ok\n"
    assert as_text([GOOD], is_verbose=True) == "[+]io-0 ok: last turn 0.1 s ago\nok\n"


def test_failure_names_what_failed() -> None:
    """Without having been asked."""
    assert as_text([GOOD, BAD], is_verbose=False) == (
        "[+]io-0 ok: last turn 0.1 s ago\n"
        "[-]acceptor failed: last turn 12.0 s ago\n"
        "failed\n"
    )


def test_programs_get_each_check() -> None:
    """JSON has the same as the verbose text."""
    assert json.loads(as_json([GOOD, BAD])) == {
        "ok": False,
        "checks": [
            {"name": "io-0", "ok": True, "detail": "last turn 0.1 s ago"},
            {"name": "acceptor", "ok": False, "detail": "last turn 12.0 s ago"},
        ],
    }
