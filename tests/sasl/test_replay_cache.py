"""Tests of pacemaker.sasl.replay_cache."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from pacemaker.errors import ConfigError
from pacemaker.sasl.replay_cache import FILE_NAME, ReplayCache, find_replay_cache


def test_cache_is_in_a_private_folder(tmp_path: Path) -> None:
    """The folder is made for this user alone, with the cache and nothing else in it."""
    folder = tmp_path / "state" / "kerberos"
    cache = find_replay_cache(folder, {"KRB5RCACHENAME": ""})
    assert cache.problem() is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [folder / FILE_NAME]
    assert cache.store == {"rcache": f"file2:{folder / FILE_NAME}"}
    assert cache.notes == ()


def test_folder_that_is_gone_is_made_again(tmp_path: Path) -> None:
    """Whoever cleans the folder away does no harm."""
    cache = find_replay_cache(tmp_path / "state", {})
    assert cache.problem() is None
    shutil.rmtree(tmp_path / "state")
    assert cache.folder_problem() is None
    assert (tmp_path / "state").is_dir()


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_folder_that_is_not_its_own_is_refused(tmp_path: Path, kind: str) -> None:
    """A place that another could have prepared, or may look into, is not used."""
    place = tmp_path / "state"
    if kind == "open":
        place.mkdir(mode=0o755)
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.touch(mode=0o600)
    problem = find_replay_cache(place, {}).problem()
    assert problem is not None
    assert problem.startswith("the replay cache ")
    assert str(place) in problem


def test_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    """The error names the file, the reason and the ways out."""
    cache = find_replay_cache(tmp_path / "state", {})
    assert cache.file is not None
    cache.file.mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    problem = cache.problem()
    assert problem is not None
    assert (
        f"{cache.file} cannot be written: Is a directory; make it writable" in problem
    )
    assert "KRB5RCACHENAME=none:" in problem


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_disk_that_is_full_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that can be opened and not written is not taken for a good one."""

    def full_disk(**options: object) -> BinaryIO:
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr("tempfile.TemporaryFile", full_disk)
    problem = find_replay_cache(tmp_path / "state", {}).problem()
    assert problem is not None
    assert "cannot be written: No space left on device" in problem


def test_variable_does_without_a_cache(tmp_path: Path) -> None:
    """KRB5RCACHENAME=none: makes no folder, names no file, and is warned of."""
    cache = find_replay_cache(tmp_path / "state", {"KRB5RCACHENAME": "none:"})
    assert cache == ReplayCache(None, is_own=False)
    assert cache.problem() is None
    assert cache.store == {}
    (note,) = cache.notes
    assert "no replay cache" in note
    assert not list(tmp_path.iterdir())


def test_variable_names_another_file(tmp_path: Path) -> None:
    """The administrator's file is looked at, and its folder left as it is."""
    environ = {"KRB5RCACHENAME": f"file2:{tmp_path}/theirs/cache"}
    cache = find_replay_cache(tmp_path / "state", environ)
    problem = cache.problem()
    assert problem is not None
    assert "theirs/cache cannot be written: No such file" in problem
    (tmp_path / "theirs").mkdir(mode=0o755)
    assert cache.problem() is None
    assert cache.store == {}


@pytest.mark.parametrize("folder", [None, "/somewhere"])
def test_variable_names_mits_own_file(tmp_path: Path, folder: str | None) -> None:
    """With dfl: it is where MIT's library has it, in KRB5RCACHEDIR or /var/tmp."""
    environ = {"KRB5RCACHENAME": "dfl:", "KRB5RCACHEDIR": folder or ""}
    cache = find_replay_cache(tmp_path, environ)
    assert cache.file == Path(folder or "/var/tmp", f"krb5_{os.getuid()}.rcache2")  # noqa: S108  # MIT's


@pytest.mark.parametrize("name", ["none", "memory:", "file2:", "dfl", "/a/path", ":"])
def test_variable_of_no_known_kind_is_refused(tmp_path: Path, name: str) -> None:
    """What MIT's library would refuse ends the start, by the name of the variable."""
    with pytest.raises(ConfigError, match=r"KRB5RCACHENAME: .* must be file2:PATH"):
        find_replay_cache(tmp_path, {"KRB5RCACHENAME": name})
