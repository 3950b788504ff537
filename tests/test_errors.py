"""Tests of pacemaker.errors."""

from __future__ import annotations

import pickle
import re
import shlex
import sys

import pytest

from pacemaker import errors
from pacemaker.errors import (
    ConfigError,
    DetailedError,
    ListenError,
    PacemakerError,
    PeerError,
    ZooKeeperError,
    how_to_install,
)


def test_command_that_installs_an_extra_is_this_interpreters() -> None:
    """It names the interpreter that runs, and takes the extra from a clone."""
    words = shlex.split(how_to_install("zstd"))
    assert words[-5:] == [sys.executable, "-m", "pip", "install", ".[zstd]"]


@pytest.mark.parametrize(
    "kind",
    [
        errors.FrameError,
        errors.MalformedError,
        errors.OutOfPlaceError,
        errors.LimitError,
        errors.AuthenticationError,
    ],
)
def test_peer_is_at_fault_for(kind: type[PeerError]) -> None:
    """Whatever ends a single connection is a PeerError, with a constant reason."""
    error = kind("what is wrong", "a figure")
    assert isinstance(error, PeerError)
    assert (error.reason, error.detail) == ("what is wrong", "a figure")


@pytest.mark.parametrize(
    "kind",
    [
        PeerError,
        ConfigError,
        ListenError,
        errors.ValueDecodeError,
        ZooKeeperError,
        errors.UpgradeError,
        errors.StateError,
    ],
)
def test_errors_have_one_base(kind: type[Exception]) -> None:
    """One except clause catches all that is raised on purpose, and no bug of ours."""
    assert issubclass(kind, PacemakerError)
    assert PacemakerError.__mro__[1] is Exception


BRANCH = re.compile(r"^    ((?:│   |    )*)[├└]── (\w+)", re.MULTILINE)


def drawn_parents() -> dict[str, str]:
    """Return each class in the tree of the module's docstring, with its parent."""
    parents: dict[str, str] = {}
    path = ["PacemakerError"]
    for indent, name in BRANCH.findall(errors.__doc__ or ""):
        del path[len(indent) // 4 + 1 :]
        parents[name] = path[-1]
        path.append(name)
    return parents


def test_tree_in_the_docstring_has_every_error() -> None:
    """An error that is added, moved or removed changes the drawing as well."""
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    parents = {
        kind.__name__: "PacemakerError"
        if kind.__base__ is DetailedError
        else str(kind.__base__ and kind.__base__.__name__)
        for kind in kinds
        if kind not in (PacemakerError, DetailedError)
    }
    assert drawn_parents() == parents


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PeerError("reason"), "reason"),
        (PeerError("reason", "7"), "reason: 7"),
        (ConfigError("is empty"), "is empty"),
        (ConfigError("is empty", source="/x.yaml"), "/x.yaml: is empty"),
        (ConfigError("no number", key="k", value="x"), "k: 'x': no number"),
        (ConfigError("no number", key="k", source="-c"), "-c: k: None: no number"),
        (ListenError("[::]:1", "in use"), "cannot listen on [::]:1: in use"),
        (errors.ValueDecodeError("damaged gzip"), "damaged gzip"),
        (errors.ValueDecodeError("damaged gzip", "at 3"), "damaged gzip: at 3"),
        (errors.UpgradeError("no memory"), "no memory"),
        (errors.StateError("cut short"), "cut short"),
        (errors.StateError("cut short", "3 of 4"), "cut short: 3 of 4"),
        (ZooKeeperError("get_data", "/a", "refused"), "get_data /a: refused"),
    ],
    ids=str,
)
def test_error_says(error: PacemakerError, text: str) -> None:
    """An error builds its text from its data, with what it has of them."""
    assert str(error) == text


def test_peer_error_survives_a_copy() -> None:
    """A PeerError can be handed to another process, as logging's queues do."""
    copy = pickle.loads(pickle.dumps(errors.LimitError("full", "9")))  # noqa: S301
    assert isinstance(copy, errors.LimitError)
    assert str(copy) == "full: 9"


@pytest.mark.parametrize(
    "kind",
    [
        errors.NodeMissingError,
        errors.NodeAccessError,
        errors.UnavailableError,
        errors.AnswerLostError,
    ],
)
def test_zookeeper_is_concerned_in(kind: type[ZooKeeperError]) -> None:
    """What the cluster state raises of ZooKeeper has one base and names the node."""
    error = kind("set_data", "/a", "why")
    assert isinstance(error, ZooKeeperError)
    assert (error.operation, error.path, error.reason) == ("set_data", "/a", "why")
