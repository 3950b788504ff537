"""Tests of pacemaker.sasl.secret."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from pacemaker.sasl.secret import Secret

PASSWORD = "correct horse battery staple"


def test_secret_reveals_its_text() -> None:
    """Who asks for the text gets it."""
    assert Secret(PASSWORD).reveal() == PASSWORD


@pytest.mark.parametrize("show", [repr, str, "{}".format, "%s".__mod__, ascii])
def test_secret_shows_nothing(show: object) -> None:
    """No way of turning it into text shows the text."""
    assert callable(show)
    assert PASSWORD not in show((Secret(PASSWORD),))


def test_secret_stays_out_of_a_traceback_with_locals() -> None:
    """A traceback that prints local variables does not print a secret."""
    secret = Secret(PASSWORD)
    try:
        raise RuntimeError(str(secret))
    except RuntimeError as exc:
        shown = traceback.TracebackException.from_exception(exc, capture_locals=True)
    assert "secret = Secret(...)" in "".join(shown.format())
    assert PASSWORD not in "".join(shown.format())


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secret_is_not_written_out(write: object) -> None:
    """A secret cannot be pickled or copied by accident."""
    assert callable(write)
    with pytest.raises(TypeError, match="cannot be pickled"):
        write(Secret(PASSWORD))


def test_secrets_compare_by_text() -> None:
    """Two secrets are equal when their texts are, and differ from all else."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
