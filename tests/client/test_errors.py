"""Tests of the client's part of pacemaker.errors."""

from __future__ import annotations

import pickle

import pytest

from pacemaker import errors
from pacemaker.errors import (
    CannotConnectError,
    ClientError,
    DeadlineError,
    NoServerError,
    PacemakerError,
)

REFUSED = CannotConnectError("a:1", "Connection refused")
LATE = DeadlineError("b:1", "no reply", True)
NOBODY = NoServerError("pacemaker.servers", (REFUSED, LATE))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (REFUSED, "a:1: Connection refused"),
        (LATE, "b:1: no reply"),
        (NOBODY, "no server answered: a:1: Connection refused; b:1: no reply"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_names_server_and_reason(error: ClientError, text: str) -> None:
    """One line says which server and why; a pool's says it of each."""
    assert str(error) == text
    assert isinstance(error, PacemakerError)


@pytest.mark.parametrize("name", ["CannotConnect", "ConnectionLost", "NotAuthorized"])
def test_errors_have_one_base(name: str) -> None:
    """One except clause catches all that a call may end with."""
    assert issubclass(getattr(errors, f"{name}Error"), ClientError)
    assert issubclass(errors.ClosedError, ClientError)


@pytest.mark.parametrize("error", [REFUSED, LATE, NOBODY], ids=str)
def test_error_survives_a_copy(error: ClientError) -> None:
    """An error can be handed to another process, with all that it carries."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy).keys() == vars(error).keys()
